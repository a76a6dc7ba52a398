import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Comment, type Expression, parseSync } from 'oxc-parser'

/** What the comments of a schema say: of the schema itself, of its fields, and of the alternatives of a union. */
export interface Described {
  readonly comment: string | undefined
  readonly fields: ReadonlyMap<string, Described>
  readonly alternatives: readonly Described[]
}

const NOTHING: Described = { comment: undefined, fields: new Map(), alternatives: [] }

/** The comments of all schemas in a folder, by the names of the constants. */
export function readComments(folder: string): ReadonlyMap<string, Described> {
  const all = new Map<string, Described>()
  const files = readdirSync(folder).filter((name) => name.endsWith('.ts'))
  // A schema may refer to those of another file, which are read first when they are needed.
  const read = (name: string): void => {
    const index = files.indexOf(name)
    if (index < 0) return
    files.splice(index, 1)
    const text = readFileSync(join(folder, name), 'utf8')
    for (const [, file = ''] of text.matchAll(/from '\.\/([\w-]+\.ts)'/g)) read(file)
    for (const [constant, described] of commentsOf(name, text, all)) all.set(constant, described)
  }
  while (files[0] !== undefined) read(files[0])
  return all
}

function commentsOf(
  name: string,
  text: string,
  imported: ReadonlyMap<string, Described>,
): Map<string, Described> {
  const { program, comments, errors } = parseSync(name, text)
  if (errors.length > 0) throw new SyntaxError(`${name} cannot be parsed: ${errors[0]?.message}`)
  const reader = new CommentReader(text, comments, imported)
  for (const statement of program.body) {
    const declared = statement.type === 'ExportNamedDeclaration' ? statement.declaration : statement
    if (declared?.type !== 'VariableDeclaration') continue
    for (const { id, init } of declared.declarations) {
      if (id.type === 'Identifier' && init !== null) reader.declare(id.name, statement.start, init)
    }
  }
  return reader.declared
}

class CommentReader {
  readonly declared = new Map<string, Described>()
  readonly #text: string
  readonly #comments: readonly Comment[]
  readonly #imported: ReadonlyMap<string, Described>

  constructor(text: string, comments: readonly Comment[], imported: ReadonlyMap<string, Described>) {
    this.#text = text
    this.#comments = comments
    this.#imported = imported
  }

  declare(name: string, start: number, value: Expression): void {
    this.declared.set(name, this.#commented(start, this.#describe(value)))
  }

  #commented(start: number, described: Described): Described {
    return { ...described, comment: this.#commentBefore(start) ?? described.comment }
  }

  #describe(expression: Expression): Described {
    switch (expression.type) {
      case 'Identifier':
        return this.declared.get(expression.name) ?? this.#imported.get(expression.name) ?? NOTHING
      case 'MemberExpression':
        return this.#describe(expression.object as Expression)
      case 'CallExpression':
        return this.#describeCall(expression.callee as Expression, expression.arguments as Expression[])
      case 'ObjectExpression': {
        const fields = new Map<string, Described>()
        for (const property of expression.properties) {
          if (property.type === 'SpreadElement') {
            for (const [key, field] of this.#describe(property.argument).fields) fields.set(key, field)
          } else if (property.key.type === 'Identifier') {
            const field = this.#commented(property.start, this.#describe(property.value as Expression))
            fields.set(property.key.name, field)
          }
        }
        return { ...NOTHING, fields }
      }
      default:
        return NOTHING
    }
  }

  /** The first argument is what is described, as in `v.nullable(…)`; a variant and a union have their alternatives in a list. */
  #describeCall(callee: Expression, args: readonly Expression[]): Described {
    const name =
      callee.type === 'MemberExpression' && callee.property.type === 'Identifier' ? callee.property.name : ''
    const list = args.find((one) => one.type === 'ArrayExpression')
    if (['variant', 'union'].includes(name) && list !== undefined) {
      const items = list.elements.filter((one) => one !== null && one.type !== 'SpreadElement')
      return {
        ...NOTHING,
        alternatives: items.map((one) => this.#commented(one.start, this.#describe(one as Expression))),
      }
    }
    return args[0] === undefined ? NOTHING : this.#describe(args[0])
  }

  #commentBefore(start: number): string | undefined {
    const before = this.#comments.findLast(({ end }) => end <= start)
    if (before === undefined || !before.value.startsWith('*')) return undefined
    if (this.#text.slice(before.end, start).trim() !== '') return undefined
    return before.value
      .replaceAll(/^\*|\n\s*\*/g, ' ')
      .replaceAll(/\s+/g, ' ')
      .trim()
  }
}
