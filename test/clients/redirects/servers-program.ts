import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { type IncomingMessage, request } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { dataKey } from '../../../src/object-store/layout/distribution.ts'
import type { Digest } from '../../../src/oci/digest.ts'
import { withoutSettings } from '../../../testkit/agent-process.ts'
import { makeCertificates } from '../../../testkit/certificates.ts'
import { Daemon, freePort } from '../../../testkit/daemon.ts'
import { serveTasks } from '../../../testkit/lab/remote-process.ts'
import { push } from '../../../testkit/registries/image.ts'
import { UpstreamRegistry } from '../../../testkit/registries/registry.ts'
import { MAIN } from '../../cli/agent-process.ts'
import { IMAGES } from './images.ts'

/** A request that a server has got from a client. */
export interface SeenRequest {
  readonly server: 'registry' | 'near one' | 'near two'
  readonly from: string
  readonly method: string
  readonly path: string
}

export interface StartOptions {
  readonly folder: string
  readonly dockerRegistry: string
  readonly address: string
  /** The addresses of the clients that have a bucket near them, in the order of the buckets. */
  readonly clients: readonly [string, string]
}

export type ServerTasks = {
  /** Starts a registry with TLS, two buckets and an agent that redirects; gives what images are named by. */
  start(options: StartOptions): Promise<{ readonly registry: string; readonly caFile: string }>
  /** What the servers have got since the last time. */
  seen(argument: undefined): Promise<readonly SeenRequest[]>
}

const seen: SeenRequest[] = []

serveTasks({
  async start({ folder, dockerRegistry, address, clients }: StartOptions) {
    const certificates = makeCertificates([address])
    const caFile = join(folder, 'ca.crt')
    const tls = { certFile: join(folder, 'tls.crt'), keyFile: join(folder, 'tls.key') }
    await writeFile(caFile, certificates.ca)
    await writeFile(tls.certFile, certificates.cert)
    await writeFile(tls.keyFile, certificates.key)

    const upstream = await UpstreamRegistry.start(dockerRegistry, join(folder, 'upstream'))
    for (const [name, image] of Object.entries(IMAGES)) await push(upstream.url, `team/${name}`, 'v1', image)
    const listen = (server: Server) => listenAt(server, address)
    const registry = await listen(tlsFront(certificates, upstream.url))
    const near = [
      await listen(bucket(certificates, 'near one')),
      await listen(bucket(certificates, 'near two')),
    ]
    const config = join(folder, 'agent.yaml')
    await writeFile(
      config,
      JSON.stringify({
        redirects: [
          {
            host: address,
            to: `${registry}/v2/team/`,
            clients: near.map((to, at) => ({ networks: [`${clients[at]}/32`], to: `${to}/`, caFile })),
          },
        ],
      }),
    )
    const agent = `${address}:${await freePort()}`
    const admin = `127.0.0.1:${await freePort()}`
    const args = [
      ...['serve', '--listen', agent, '--admin', admin, '--config', config, '--data', join(folder, 'data')],
      ...['--tls-cert', tls.certFile, '--tls-key', tls.keyFile],
    ]
    const daemon = new Daemon('the agent', process.execPath, [MAIN, ...args], { env: withoutSettings() })
    await daemon.ready(async () => (await fetch(`http://${admin}/readyz`)).ok)
    return { registry: agent, caFile }
  },
  async seen() {
    return seen.splice(0)
  },
} satisfies ServerTasks)

type Tls = { readonly cert: string; readonly key: string }

async function listenAt(server: Server, address: string): Promise<string> {
  server.listen(0, address)
  await once(server, 'listening')
  return `https://${address}:${(server.address() as AddressInfo).port}`
}

/** The registry as clients reach it: docker-registry behind a server with TLS. */
function tlsFront(tls: Tls, upstream: string): Server {
  return createServer(tls, (incoming, outgoing) => {
    note('registry', incoming)
    const { method = 'GET', url = '/', headers } = incoming
    const onward = request(`${upstream}${url}`, { method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(outgoing)
    })
    onward.on('error', () => outgoing.destroy())
    incoming.pipe(onward)
  })
}

/** A server of files as a public bucket. */
function bucket(tls: Tls, name: SeenRequest['server']): Server {
  const objects = new Map(
    IMAGES.app.blobs.map(({ digest, bytes }) => [`/${dataKey(digest as Digest)}`, bytes]),
  )
  return createServer(tls, (incoming, outgoing) => {
    note(name, incoming)
    const bytes = objects.get(incoming.url ?? '')
    outgoing.writeHead(bytes === undefined ? 404 : 200, { 'content-length': bytes?.length ?? 0 })
    outgoing.end(incoming.method === 'HEAD' ? undefined : bytes)
  })
}

function note(server: SeenRequest['server'], { socket, method = '', url = '' }: IncomingMessage): void {
  seen.push({ server, from: socket.remoteAddress ?? '', method, path: url })
}
