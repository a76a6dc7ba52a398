import type { JsonSchema } from '../../testkit/schemas/api/describe.ts'
import { code, plain } from './markdown.ts'

/** The fields of a JSON Schema, those of objects within it after it: `store.scrub.found`, `flights[].digest`. */
export function fieldRows(
  schema: JsonSchema,
  prefix = '',
): (readonly [name: string, type: string, text: string])[] {
  const { properties, required = [] } = withFields(schema)
  return Object.entries((properties ?? {}) as Readonly<Record<string, JsonSchema>>).flatMap(
    ([key, field]) => {
      const name = `${prefix}${key}`
      const optional = (required as readonly string[]).includes(key) ? '' : ', optional'
      const row = [code(name), `${typeOf(field)}${optional}`, plain(textOf(field))] as const
      return [row, ...fieldRows(field, `${name}${isList(field) ? '[]' : ''}.`)]
    },
  )
}

/** The alternatives of a union of objects, each with the value of `is`, by which they are told apart. */
export function alternativesOf(
  schema: JsonSchema,
): readonly (readonly [is: string, alternative: JsonSchema])[] {
  const { anyOf, oneOf, properties } = schema
  const alternatives = (anyOf ?? oneOf) as readonly JsonSchema[] | undefined
  if (alternatives !== undefined) return alternatives.flatMap(alternativesOf)
  const { is } = (properties ?? {}) as { readonly is?: JsonSchema }
  return [[String(is?.['const'] ?? ''), schema]]
}

/** The object that a field is: by itself, in a list, or unless it is null. */
function withFields(schema: JsonSchema): JsonSchema {
  if (isList(schema)) return withFields(listIn(schema)?.['items'] as JsonSchema)
  const some = (schema['anyOf'] ?? []) as readonly JsonSchema[]
  return some.find(({ type }) => type === 'object') ?? schema
}

function listIn(schema: JsonSchema): JsonSchema | undefined {
  if (schema['type'] === 'array') return schema
  return ((schema['anyOf'] ?? []) as readonly JsonSchema[]).find(({ type }) => type === 'array')
}

function isList(schema: JsonSchema): boolean {
  return listIn(schema)?.['items'] !== undefined
}

function typeOf(schema: JsonSchema): string {
  const { type, anyOf, items, enum: words, const: only, format } = schema
  if (only !== undefined) return code(String(only))
  if (Array.isArray(words)) return words.map((word) => code(String(word))).join(', ')
  if (Array.isArray(anyOf)) return [...new Set((anyOf as readonly JsonSchema[]).map(typeOf))].join(' or ')
  if (type === 'array') return `list of ${plural(typeOf(items as JsonSchema))}`
  if (Array.isArray(type)) return 'text'
  if (type === 'string') return format === 'date-time' ? 'time' : 'text'
  return type === 'null' ? 'null' : type === undefined ? 'any' : String(type)
}

function plural(type: string): string {
  return /^\w+$/.test(type) ? `${type}s` : type
}

function textOf({ description, anyOf }: JsonSchema): string {
  if (typeof description === 'string') return description
  const described = ((anyOf ?? []) as readonly JsonSchema[]).find(
    (one) => typeof one['description'] === 'string',
  )
  return String(described?.['description'] ?? '')
}
