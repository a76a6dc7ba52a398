import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { AdminAccess } from '../../../../src/admin-api/admin-access.ts'
import { adminRoute, PATHS } from '../../../../src/admin-api/route.ts'
import { openApiDocument } from '../../../../testkit/schemas/api/openapi.ts'
import { AdminFixture, sendRequest } from '../../../admin-api/admin-fixture.ts'
import { folder } from '../../../store/folder.ts'

const SCHEMAS = fileURLToPath(new URL('../../../../../src/schemas', import.meta.url))

interface OpenApi {
  readonly paths: Readonly<Record<string, Readonly<Record<string, OpenApiOperation>>>>
  readonly security: readonly object[]
  readonly components: { readonly schemas: Readonly<Record<string, unknown>> }
}

interface OpenApiOperation {
  readonly operationId: string
  readonly requestBody?: unknown
  readonly security?: readonly object[]
  readonly responses: Readonly<Record<string, { readonly content: Readonly<Record<string, Media>> }>>
}

interface Media {
  readonly schema: { readonly $ref?: string; readonly type?: string }
}

const document = openApiDocument() as unknown as OpenApi
const fixture = new AdminFixture()

test('the document has each path of the router with each of its methods, and no others', () => {
  assert.deepEqual(Object.keys(document.paths).sort(), PATHS)
  const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']
  for (const [path, described] of Object.entries(document.paths)) {
    const routed = methods.filter((method) => adminRoute(method, path).kind !== 'method-not-allowed')
    assert.deepEqual(
      Object.keys(described).map((method) => method.toUpperCase()),
      routed,
      path,
    )
  }
})

test('each operation has a name of its own, and what it refers to is in the document', () => {
  const all = Object.values(document.paths).flatMap((path) => Object.values(path))
  const names = all.map(({ operationId }) => operationId)
  assert.equal(new Set(names).size, names.length)
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)]
  assert.ok(references.length > all.length)
  for (const [, name = ''] of references) assert.ok(document.components.schemas[name], name)
})

test('an operation needs the token for which the server asks, and one that changes something has a body', async (t) => {
  const tokenFile = join(await folder(t), 'token')
  writeFileSync(tokenFile, 'a-token-for-everything')
  const access = await AdminAccess.open({ tokenFile })
  for (const [path, operations] of Object.entries(document.paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      const { security = document.security, requestBody } = operation
      const route = adminRoute(method.toUpperCase(), `${path}?subject=alpine`)
      const isRefused = (await access.refuse(route, undefined)) !== undefined
      assert.equal(
        security.some((one) => 'token' in one),
        isRefused,
        path,
      )
      assert.equal(requestBody !== undefined, method !== 'get', path)
    }
  }
  assert.deepEqual(document.paths['/api/v1/notifications']?.['post']?.security, [
    { secret: [] },
    { signature: [] },
  ])
})

test('what a server answers is what the document says', async () => {
  const port = await fixture.startServer()
  const ajv = new Ajv2020({ allowUnionTypes: true, formats: { 'date-time': true } })
  for (const [path, { get }] of Object.entries(document.paths)) {
    // The events never end; test/admin-api/answer-events.test.ts has them.
    if (get === undefined || path === '/api/v1/events') continue
    const got = await sendRequest(port, `${path}?subject=alpine:3`)
    assert.equal(got.status, 200, path)
    const [mediaType = ''] = String(got.headers['content-type']).split(';')
    const media = get.responses['200']?.content[mediaType] ?? assert.fail(`${path} is ${mediaType}`)
    if (media.schema.$ref === undefined) continue
    const shape = document.components.schemas[media.schema.$ref.split('/').at(-1) ?? '']
    const isRight = ajv.compile(shape as object)
    const lines = mediaType === 'application/x-ndjson' ? got.body.split('\n').slice(0, -1) : [got.body]
    for (const line of lines) assert.ok(isRight(JSON.parse(line)), JSON.stringify(isRight.errors))
  }
})

test('a comment that describes fields of many names is that of a unit', () => {
  const units = readFileSync(join(SCHEMAS, 'units.ts'), 'utf8')
  const names = new Map<string, Set<string>>()
  const collect = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return
    const { properties } = value as { readonly properties?: Readonly<Record<string, unknown>> }
    for (const [name, field] of Object.entries(properties ?? {})) {
      const { description } = field as { readonly description?: unknown }
      if (typeof description === 'string')
        names.set(description, (names.get(description) ?? new Set()).add(name))
    }
    for (const part of Object.values(value)) collect(part)
  }
  collect(document.components.schemas)
  const shared = [...names].filter(([, of]) => of.size > 2).map(([description]) => description)
  assert.ok(shared.length > 0)
  for (const description of shared) assert.ok(units.includes(`/** ${description} */`), description)
})

test('the descriptions are the comments of the schemas', () => {
  const written = JSON.stringify(document)
  const status = document.components.schemas['Status'] as {
    readonly properties: Record<string, { description: string }>
  }
  assert.match(status.properties['problems']?.description ?? '', /^What is wrong although the node serves/)
  assert.equal(status.properties['startedAt']?.description, 'RFC 3339 in UTC.')
  const comments = readdirSync(SCHEMAS)
    .filter((name) => name.endsWith('.ts') && name !== 'import-report.ts')
    .flatMap((name) => {
      const text = readFileSync(join(SCHEMAS, name), 'utf8')
      // One line within an object of fields.
      return [...text.matchAll(/^ {2,}\/\*\* (.+) \*\/\n\s+(?!readonly)\w+[:,]/gm)].map(
        ([, comment = '']) => comment,
      )
    })
  assert.ok(comments.length > 40)
  for (const comment of comments) assert.ok(written.includes(JSON.stringify(comment).slice(1, -1)), comment)
})
