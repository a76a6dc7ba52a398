import { once } from 'node:events'
import { connect } from 'node:tls'
import { errorCode } from '../lib/error-code.ts'
import { Failure } from '../ports/failure.ts'
import type { HostPort } from './dht/dht-node.ts'
import { issueCredentials } from './identity/certificate.ts'
import { tlsOptions } from './identity/credentials.ts'
import { readSecretFile } from './identity/secret.ts'

/** Probes ports with the secret of one file. */
export interface SwarmProbe {
  /** What is wrong with the mode of the secret file. */
  readonly warning: string | undefined
  /** Resolves if an agent with the same secret answers at the address; throws a `Failure` otherwise. */
  probe(address: HostPort, options: { signal: AbortSignal }): Promise<void>
}

const OTHER_VERSION = 'an agent with the same secret answers there, in another version of the peer protocol'

/** Throws a `Failure` if the secret file is not usable. The message contains nothing of the secret. */
export async function openSwarmProbe(secretFile: string): Promise<SwarmProbe> {
  const { secrets, warning } = await readSecretFile(secretFile)
  const options = {
    ...tlsOptions(issueCredentials(secrets)),
    servername: '',
    ALPNProtocols: ['h2'],
    checkServerIdentity: () => undefined,
  }
  return {
    warning,
    async probe({ host, port }, { signal }) {
      const socket = connect({ ...options, host, port })
      try {
        await once(socket, 'secureConnect', { signal })
        if (socket.alpnProtocol === false) throw new Failure('unsupported', OTHER_VERSION)
      } catch (cause) {
        if (cause instanceof Failure) throw cause
        throw new Failure('unavailable', failureText(cause, signal), { cause })
      } finally {
        socket.destroy()
      }
    },
  }
}

function failureText(cause: unknown, signal: AbortSignal): string {
  if (signal.aborted) return 'no answer in time'
  const code = errorCode(cause) ?? 'unknown error'
  if (code === 'ECONNREFUSED') return 'connection refused'
  const isAnswered = code === 'ECONNRESET' || code === 'EPROTO' || !/^E[A-Z]+$/.test(code)
  return isAnswered ? `what answers there has a different secret (${code})` : code
}
