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
import { makeCertificates } from '../../testkit/certificates.ts'

const TEST_PATH = /^\/spec\/taints\/(\d+)$/
const Steps = v.array(
  v.object({ op: v.picklist(['test', 'remove']), path: v.string(), value: v.optional(v.unknown()) }),
)

export interface Taint {
  readonly key: string
  readonly effect: string
  readonly value?: string
}

/** What happens to a request in place of an answer, or before it. */
export type Trouble = number | 'silence' | (() => unknown)

/** The part of Kubernetes' API server that a node is: read, and changed by JSON patches (RFC 6902), over TLS. */
export class ApiServer {
  readonly folder: string
  readonly port: number
  /** Undefined: there is no such list. */
  taints: readonly Taint[] | undefined
  token = 'token'
  /** For the requests to come, one each. */
  readonly troubles: Trouble[] = []
  /** Method and path of all that came. */
  readonly asked: string[] = []

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
    await api.giveToken('token')
    return api
  }

  private constructor(folder: string, port: number, taints: readonly Taint[] | undefined) {
    this.folder = folder
    this.port = port
    this.taints = taints
  }

  /** As the kubelet renews it. */
  async giveToken(token: string): Promise<void> {
    await writeFile(join(this.folder, 'token'), `${token}\n`)
  }

  /** How a pod is told of it. */
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
    this.asked.push(`${request.method} ${request.url}`)
    const trouble = this.troubles.shift()
    if (trouble === 'silence') return undefined
    if (typeof trouble === 'number') return refusal(trouble, 'trouble')
    await trouble?.()
    if (request.headers.authorization !== `Bearer ${this.token}`) return refusal(401, 'Unauthorized')
    if (request.url !== '/api/v1/nodes/node-1') return refusal(404, 'not found')
    if (request.method === 'GET') return [200, this.#node()]
    assert.equal(request.method, 'PATCH')
    if (request.headers['content-type'] !== 'application/json-patch+json')
      return refusal(415, 'unsupported media type')
    const after = patched(this.taints ?? [], v.parse(Steps, JSON.parse(Buffer.concat(parts).toString())))
    if (after === undefined) return refusal(422, 'the server rejected our request')
    this.taints = after.length === 0 ? undefined : after
    return [200, this.#node()]
  }

  #node(): unknown {
    return { metadata: { name: 'node-1' }, spec: { taints: this.taints } }
  }
}

/** All steps or, when one does not hold, none. */
function patched(before: readonly Taint[], steps: v.InferOutput<typeof Steps>): readonly Taint[] | undefined {
  const taints = [...before]
  for (const { op, path, value } of steps) {
    const index = Number(TEST_PATH.exec(path)?.[1] ?? assert.fail(path))
    if (index >= taints.length) return undefined
    if (op === 'remove') taints.splice(index, 1)
    else if (!isDeepStrictEqual(taints[index], value)) return undefined
  }
  return taints
}

function refusal(code: number, message: string): readonly [number, unknown] {
  return [code, { kind: 'Status', status: 'Failure', message, code }]
}
