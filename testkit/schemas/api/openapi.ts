import type { JsonSchema } from './describe.ts'
import { type Operation, operations, type Parameter } from './operations.ts'
import { apiShapes, type ShapeName } from './shapes.ts'

/** What an operation needs that is not as the whole document says. */
const SECURITY: Readonly<Record<'none' | 'secret', readonly JsonSchema[]>> = {
  none: [],
  secret: [{ secret: [] }, { signature: [] }],
}

/** The OpenAPI document of the admin address. The version is that of the API, so that a release does not change the document. */
export function openApiDocument(): JsonSchema {
  const paths: Record<string, Record<string, JsonSchema>> = {}
  for (const { path, method, id, operation } of operations()) {
    const atPath = paths[path] ?? {}
    paths[path] = atPath
    atPath[method.toLowerCase()] = operationObject(id, operation)
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Admin API of Leat',
      version: '1',
      description:
        'What an agent says about itself, and the commands that change what it stores. Each path that takes GET takes HEAD, too, which answers the same without a body. Times are RFC 3339 in UTC, sizes are bytes, durations are milliseconds, and an unknown value is null. Fields may be added; clients ignore those that they do not know.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: 'http://127.0.0.1:5051', description: 'The default of the setting admin.' }],
    security: [{}, { token: [] }],
    paths,
    components: {
      securitySchemes: {
        token: {
          type: 'http',
          scheme: 'bearer',
          description: 'Needed if the agent has `adminAuth`. The token for reading is enough for GET.',
        },
        secret: {
          type: 'http',
          scheme: 'bearer',
          description: 'The secret in `secretFile` of an entry of `copies` with `notified`.',
        },
        signature: {
          type: 'apiKey',
          in: 'header',
          name: 'X-Hub-Signature-256',
          description: '`sha256=` and the HMAC-SHA256 of the body with that secret, in hexadecimal digits.',
        },
      },
      schemas: Object.fromEntries(
        [...apiShapes()].map(([name, shape]) => [componentName(name), componentOf(shape)]),
      ),
    },
  }
}

function operationObject(
  id: string,
  { summary, request, body, security = 'token', parameters = [], answer, unavailable }: Operation,
): JsonSchema {
  return {
    operationId: id,
    summary,
    ...(security === 'token' ? {} : { security: SECURITY[security] }),
    ...(parameters.length === 0 ? {} : { parameters: parameters.map(parameterObject) }),
    ...(request === undefined
      ? {}
      : {
          requestBody: { required: true, content: { 'application/json': { schema: referenceTo(request) } } },
        }),
    ...(body === undefined
      ? {}
      : { requestBody: { description: body, required: true, content: { '*/*': { schema: {} } } } }),
    responses: {
      ['acceptedImages' in answer ? 202 : 200]: answerObject(answer),
      ...('text' in answer && unavailable !== undefined
        ? { 503: { description: unavailable, content: { 'text/plain': { schema: { type: 'string' } } } } }
        : {}),
      default: {
        description: 'What is wrong, and what to do, in one sentence.',
        content: { 'application/json': { schema: referenceTo('error') } },
      },
    },
  }
}

function parameterObject(parameter: Parameter): JsonSchema {
  return { in: 'query', allowEmptyValue: !parameter.required, ...parameter }
}

function answerObject(answer: Operation['answer']): JsonSchema {
  if ('text' in answer)
    return { description: answer.text, content: { 'text/plain': { schema: { type: 'string' } } } }
  if ('json' in answer)
    return {
      description: 'One value of JSON.',
      content: { 'application/json': { schema: referenceTo(answer.json) } },
    }
  if ('acceptedImages' in answer) {
    const images = { type: 'array', items: { type: 'string' }, description: answer.acceptedImages }
    const schema = { type: 'object', properties: { images }, required: ['images'] }
    return { description: 'Accepted.', content: { 'application/json': { schema } } }
  }
  return {
    description: 'JSON lines: each line is a value of this schema, sent as soon as it is known.',
    content: { 'application/x-ndjson': { schema: referenceTo(answer.lines) } },
  }
}

function referenceTo(name: ShapeName): JsonSchema {
  return { $ref: `#/components/schemas/${componentName(name)}` }
}

/** `hosted-gc.line` is `HostedGcLine`. */
function componentName(name: ShapeName): string {
  return name.replaceAll(/(?:^|[.-])(\w)/g, (_, letter: string) => letter.toUpperCase())
}

function componentOf({ $schema: _, ...shape }: JsonSchema): JsonSchema {
  return shape
}
