import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import * as v from 'valibot'
import { makeCertificates } from '../../../testkit/certificates.ts'

const TEST_PATH = /^\/spec\/taints\/(\d+)$/
const Steps = v.array(
  v.object({ op: v.picklist(['test', 'remove']), path: v.string(), value: v.optional(v.unknown()) }),
)

export interface Taint {
  readonly key: string
  readonly effect: string
  readonly value?: string
}

/** An error status, no answer at all, or something that happens before the answer. */
export type Fault = number | 'silence' | (() => unknown)

/** An API server with one node, which can be read, and changed by JSON patches (RFC 6902), over TLS. */
export class ApiServer {
  readonly folder: string
  readonly port: number
  /** Undefined if the node has no list of taints. */
  taints: readonly Taint[] | undefined
  token = 'token'
  /** The faults of the next requests, one for each. */
  readonly faults: Fault[] = []
  /** The methods and paths of all requests. */
  readonly requests: string[] = []

  static async start(t: TestContext, taints: readonly Taint[] | undefined): Promise<ApiServer> {
    const folder = await mkdtemp(join(tmpdir(), 'leat-api-'))
    const { ca, cert, key } = makeCertificates()
    await writeFile(join(folder, 'ca.crt'), ca)
    let api: ApiServer | undefined
    const server = createServer({ cert, key }, (request, response) => {
      void api?.answer(request).then((answer) => {
        if (answer === undefined) return
        const [code, body] = answer
        response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(body))
      })
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.after(async () => {
      server.close()
      server.closeAllConnections()
      await rm(folder, { recursive: true })
    })
    api = new ApiServer(folder, (server.address() as AddressInfo).port, taints)
    await api.writeToken('token')
    return api
  }

  private constructor(folder: string, port: number, taints: readonly Taint[] | undefined) {
    this.folder = folder
    this.port = port
    this.taints = taints
  }

  /** Replaces the token in the file, as the kubelet does. */
  async writeToken(token: string): Promise<void> {
    await writeFile(join(this.folder, 'token'), `${token}\n`)
  }

  /** The variables by which a pod finds the API server. */
  get env(): Record<string, string> {
    return {
      KUBERNETES_SERVICE_HOST: '127.0.0.1',
      KUBERNETES_SERVICE_PORT: String(this.port),
      NODE_EXTRA_CA_CERTS: join(this.folder, 'ca.crt'),
      TOKEN_FILE: join(this.folder, 'token'),
      NODE_NAME: 'node-1',
    }
  }

  async answer(request: IncomingMessage): Promise<readonly [number, unknown] | undefined> {
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part)
    this.requests.push(`${request.method} ${request.url}`)
    const fault = this.faults.shift()
    if (fault === 'silence') return undefined
    if (typeof fault === 'number') return failure(fault, 'fault')
    await fault?.()
    if (request.headers.authorization !== `Bearer ${this.token}`) return failure(401, 'Unauthorized')
    if (request.url !== '/api/v1/nodes/node-1') return failure(404, 'not found')
    if (request.method === 'GET') return [200, this.#node()]
    assert.equal(request.method, 'PATCH')
    if (request.headers['content-type'] !== 'application/json-patch+json')
      return failure(415, 'unsupported media type')
    const after = applyPatch(this.taints ?? [], v.parse(Steps, JSON.parse(Buffer.concat(parts).toString())))
    if (after === undefined) return failure(422, 'the server rejected our request')
    this.taints = after.length === 0 ? undefined : after
    return [200, this.#node()]
  }

  #node(): unknown {
    return { metadata: { name: 'node-1' }, spec: { taints: this.taints } }
  }
}

/** Undefined if a step fails; then none is applied. */
function applyPatch(
  before: readonly Taint[],
  steps: v.InferOutput<typeof Steps>,
): readonly Taint[] | undefined {
  const taints = [...before]
  for (const { op, path, value } of steps) {
    const index = Number(TEST_PATH.exec(path)?.[1] ?? assert.fail(path))
    if (index >= taints.length) return undefined
    if (op === 'remove') taints.splice(index, 1)
    else if (!isDeepStrictEqual(taints[index], value)) return undefined
  }
  return taints
}

function failure(code: number, message: string): readonly [number, unknown] {
  return [code, { kind: 'Status', status: 'Failure', message, code }]
}
