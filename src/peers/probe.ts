import { once } from 'node:events'
import { connect } from 'node:tls'
import { errorCode } from '../lib/error-code.ts'
import { Failure } from '../ports/failure.ts'
import type { HostPort } from './dht/dht-node.ts'
import { issueCredentials } from './identity/certificate.ts'
import { tlsOptions } from './identity/credentials.ts'
import { readSecretFile } from './identity/secret.ts'

/** What is to be known about the secret, and how to find out who else knows it. */
export interface Knocker {
  /** Of the file. */
  readonly warning: string | undefined
  /** Resolves when an agent with the same secret answers there; throws a `Failure` otherwise. */
  knock(address: HostPort, options: { signal: AbortSignal }): Promise<void>
}

/** Throws a `Failure` in one sentence when the file is not right; it never tells what is in it. */
export async function readKnocker(secretFile: string): Promise<Knocker> {
  const { secrets, warning } = await readSecretFile(secretFile)
  const options = {
    ...tlsOptions(issueCredentials(secrets)),
    servername: '',
    checkServerIdentity: () => undefined,
  }
  return {
    warning,
    async knock({ host, port }, { signal }) {
      const socket = connect({ ...options, host, port })
      try {
        await once(socket, 'secureConnect', { signal })
      } catch (cause) {
        throw new Failure('unavailable', whyNot(cause, signal), { cause })
      } finally {
        socket.destroy()
      }
    },
  }
}

function whyNot(cause: unknown, signal: AbortSignal): string {
  if (signal.aborted) return 'no answer in time'
  const code = errorCode(cause) ?? 'unknown error'
  if (code === 'ECONNREFUSED') return 'nobody listens there'
  const isAnswered = code === 'ECONNRESET' || code === 'EPROTO' || !/^E[A-Z]+$/.test(code)
  return isAnswered ? `who answers there has another secret (${code})` : code
}
