import type { Described } from './comments.ts'

export type JsonSchema = Readonly<Record<string, unknown>>

/** Adds what the comments say to the JSON Schema that was made of the commented schema. */
export function describe(schema: JsonSchema, described: Described | undefined): JsonSchema {
  if (described === undefined) return schema
  const comment = described.comment === undefined ? {} : { description: described.comment }
  return { ...comment, ...describeParts(schema, described) }
}

function describeParts(schema: JsonSchema, described: Described): JsonSchema {
  const { properties, items, anyOf, oneOf } = schema
  return {
    ...schema,
    ...(isSchema(properties) ? { properties: describeFields(properties, described) } : {}),
    ...(isSchema(items) ? { items: describeParts(items, described) } : {}),
    ...(Array.isArray(anyOf) ? { anyOf: describeAlternatives(anyOf, described) } : {}),
    ...(Array.isArray(oneOf) ? { oneOf: describeAlternatives(oneOf, described) } : {}),
  }
}

function describeFields(properties: JsonSchema, { fields }: Described): JsonSchema {
  return Object.fromEntries(
    Object.entries(properties).map(([name, field]) => [
      name,
      describe(field as JsonSchema, fields.get(name)),
    ]),
  )
}

/** A value that may be null has alternatives in its JSON Schema, too, of which the comments know nothing. */
function describeAlternatives(schemas: readonly JsonSchema[], described: Described): readonly JsonSchema[] {
  const { alternatives } = described
  return alternatives.length === schemas.length
    ? schemas.map((one, i) => describe(one, alternatives[i]))
    : schemas.map((one) => describeParts(one, described))
}

function isSchema(value: unknown): value is JsonSchema {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
