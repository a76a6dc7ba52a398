import type { JsonSchema } from '../../testkit/schemas/api/describe.ts'
import { operations, type PathOperation } from '../../testkit/schemas/api/operations.ts'
import { apiShapes, type ShapeName } from '../../testkit/schemas/api/shapes.ts'
import { alternativesOf, fieldRows } from './field-rows.ts'
import { code, page, plain, table } from './markdown.ts'

const ACCESS: Readonly<Record<'none' | 'secret', string>> = {
  none: 'It needs no token.',
  secret:
    'It needs no token, but with or without `adminAuth` the secret in `secretFile` of `notified`: as `Authorization: Bearer SECRET` or `Authorization: SECRET`, or as the key of the HMAC-SHA256 of the body in `X-Hub-Signature-256: sha256=…`.',
}

/** The page on the admin API, made from the router and the schemas. */
export function apiPage(): string {
  const shapes = apiShapes()
  return page(
    'Admin API',
    'What the [admin address](settings.md#admin) answers. [openapi.json](../schemas/openapi.json) describes the same for programs (OpenAPI 3.1). Each `GET` takes `HEAD`, too. Times are RFC 3339 in UTC, sizes are bytes, durations are milliseconds, and an unknown value is null. Fields may be added: a client ignores those that it does not know.',
    'Commands (`POST` and `DELETE`, except notifications) take JSON with `Content-Type: application/json`, and are refused from web pages. With `adminAuth` a request needs `Authorization: Bearer TOKEN`, unless the text of its path says otherwise; the token for reading is enough for `GET` and `HEAD`. Every answer with a status from 400, except that of `/readyz`, is `{"error": "…"}`: one sentence that says what is wrong and what to do.',
    ...[...operations()].flatMap((one) => operationText(one, shapes)),
  )
}

function operationText(
  { path, method, operation }: PathOperation,
  shapes: ReadonlyMap<ShapeName, JsonSchema>,
): readonly string[] {
  const { summary, parameters = [], request, body, security = 'token', answer, unavailable } = operation
  const rows = parameters.map(({ name, required, description }) => [
    code(name),
    `${plain(description)}${required ? '' : ' Optional.'}`,
  ])
  return [
    `## ${method} ${path}`,
    summary,
    ...(security === 'token' ? [] : [ACCESS[security]]),
    ...(rows.length === 0 ? [] : [table(['parameter', ''], rows)]),
    ...(request === undefined ? [] : ['The body:', ...shapeText(request, shapes)]),
    ...(body === undefined ? [] : [`The body: ${body}`]),
    ...answerText(answer, shapes),
    ...(unavailable === undefined ? [] : [`503: ${unavailable}.`]),
  ]
}

function answerText(
  answer: PathOperation['operation']['answer'],
  shapes: ReadonlyMap<ShapeName, JsonSchema>,
): readonly string[] {
  if ('text' in answer) return [`The answer is text: ${answer.text}.`]
  if ('json' in answer) return ['The answer:', ...shapeText(answer.json, shapes)]
  if ('acceptedImages' in answer)
    return [`The answer is 202 with \`{"images": […]}\`: ${answer.acceptedImages}.`]
  return ['The answer is JSON lines:', ...shapeText(answer.lines, shapes)]
}

function shapeText(name: ShapeName, shapes: ReadonlyMap<ShapeName, JsonSchema>): readonly string[] {
  const shape = shapes.get(name)
  if (shape === undefined) throw new TypeError(`there is no schema ${name}`)
  return alternativesOf(shape).flatMap(([is, schema]) => [
    ...(is === '' ? [] : [`\`is: ${is}\`. ${plain(String(schema['description'] ?? ''))}`]),
    table(['field', 'type', ''], fieldRows(schema)),
  ])
}
