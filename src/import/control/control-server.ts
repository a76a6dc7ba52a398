import { chmod, mkdir, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { dirname } from 'node:path'
import { stopServer } from '../../lib/stop-server.ts'
import { Failure } from '../../ports/failure.ts'
import type { ImportTarget } from '../target/import-target.ts'
import { answerTo } from './control-routes.ts'

const MAX_CONNECTIONS = 32
/** What `sockaddr_un` holds (unix(7)), without the zero at its end. */
const MAX_PATH_BYTES = 107

export interface ControlServer {
  /** Gives a sentence about why imports are impossible; undefined when the server listens. */
  start(): Promise<string | undefined>
  stop(): Promise<void>
}

/**
 * The server of `agent import`, at a socket in a folder that only the agent's user can enter. Whoever can import can say
 * what a tag of any registry is, so the folder is the permission, and no TCP port leads here.
 */
export function createControlServer(path: string, target: ImportTarget): ControlServer {
  const stopping = new AbortController()
  const server = createServer({ requestTimeout: 0, headersTimeout: 10_000, keepAliveTimeout: 5_000 })
  server.maxConnections = MAX_CONNECTIONS
  server.on('request', (request, response) => void respond(request, response, target, stopping.signal))
  server.on('error', () => {})
  return {
    start: () => start(server, path),
    async stop() {
      stopping.abort(new Failure('stopping', 'the agent is shutting down'))
      await stopServer(server)
      if (Buffer.byteLength(path) <= MAX_PATH_BYTES) await rm(path, { force: true }).catch(() => {})
    },
  }
}

/** An agent that has ended without stopping leaves its socket; the lock of the data folder says that no other uses it. */
async function start(server: Server, path: string): Promise<string | undefined> {
  const folder = dirname(path)
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) {
    return `agent import needs the agent to be stopped: ${path} is too long for a socket; choose a data folder with a shorter path`
  }
  try {
    await mkdir(folder, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    })
    await chmod(folder, 0o700)
    await rm(path, { force: true })
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(path, () => {
        server.off('error', reject)
        resolve()
      })
    })
    await chmod(path, 0o600)
    return undefined
  } catch (error) {
    await stopServer(server)
    const why = error instanceof Error ? error.message : String(error)
    return `agent import needs the agent to be stopped, because no socket can be made in ${folder} (${why})`
  }
}

async function respond(
  request: IncomingMessage,
  response: ServerResponse,
  target: ImportTarget,
  stopping: AbortSignal,
): Promise<void> {
  const disconnected = new AbortController()
  response.once('close', () => disconnected.abort(new Failure('stopping', 'the command has ended')))
  const signal = AbortSignal.any([stopping, disconnected.signal])
  try {
    const answer = await answerTo(request, target, signal)
    if (answer instanceof Uint8Array) send(request, response, 200, answer, 'application/octet-stream')
    else send(request, response, 200, Buffer.from(JSON.stringify(answer)))
  } catch (error) {
    const { code, message, details } =
      error instanceof Failure ? error : new Failure('unavailable', `the agent has failed: ${String(error)}`)
    const body = {
      code,
      error: message,
      ...(details.found === undefined ? {} : { found: String(details.found) }),
    }
    const status = code === 'absent' ? 404 : code === 'unsupported' ? 400 : 500
    send(request, response, status, Buffer.from(JSON.stringify(body)))
  }
}

function send(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  body: Uint8Array,
  contentType = 'application/json',
): void {
  if (response.destroyed) return
  // The rest of an unread request would be parsed as the next request.
  if (!request.complete) response.setHeader('Connection', 'close')
  response.writeHead(status, { 'Content-Type': contentType, 'Content-Length': body.length }).end(body)
}
