import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { errorCode } from '../../lib/error-code.ts'
import type { Tls } from '../../runtimes/files/plan.ts'
import { CommandError } from './command.ts'

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g

/** What the runtimes have to know to ask an agent with this certificate at `host`. */
export async function agentTls(
  certFile: string,
  { host, caFile }: { host: string; caFile: string | undefined },
): Promise<Tls> {
  const chain = await certificatesIn(certFile, '--tls-cert')
  const [own, root] = [chain[0], chain.at(-1)]
  const isFor = isIP(host) === 0 ? own?.checkHost(host, { subject: 'never' }) : own?.checkIP(host)
  if (isFor === undefined) {
    throw new CommandError(
      `the certificate in ${certFile} is not for ${host}, so the runtimes would refuse it; have one made with ${host} among its alternative names, or give --listen as it is in there`,
    )
  }
  if (caFile !== undefined) {
    return { ca: (await certificatesIn(caFile, '--ca-file')).map(String).join('') }
  }
  return { ca: root?.checkIssued(root) === true ? String(root) : undefined }
}

/** Nothing but the certificates: what is beside them, a key perhaps, is nobody's business. */
async function certificatesIn(path: string, flag: string): Promise<readonly X509Certificate[]> {
  let found: readonly X509Certificate[]
  try {
    const text = await readFile(path, 'utf8')
    found = [...text.matchAll(CERTIFICATE)].map(([pem]) => new X509Certificate(pem))
  } catch (cause) {
    const why = errorCode(cause) ?? 'no certificate'
    throw new CommandError(`${path} cannot be read (${why}); give ${flag} a PEM file with certificates`, {
      cause,
    })
  }
  if (found.length > 0) return found
  throw new CommandError(`${path} holds no certificate; give ${flag} a PEM file with certificates`)
}
