import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { errorCode } from '../../lib/error-code.ts'
import type { Tls } from '../../runtimes/files/plan.ts'
import { CommandError } from './command.ts'

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g

/** What the runtimes need to trust an agent with this certificate at `host`. */
export async function agentTls(
  certFile: string,
  { host, caFile }: { host: string; caFile: string | undefined },
): Promise<Tls> {
  const chain = await certificatesIn(certFile, '--tls-cert')
  const [leaf, last] = [chain[0], chain.at(-1)]
  const validName = isIP(host) === 0 ? leaf?.checkHost(host, { subject: 'never' }) : leaf?.checkIP(host)
  if (validName === undefined) {
    throw new CommandError(
      `the certificate in ${certFile} is not valid for ${host}, so the runtimes would reject it; issue one with ${host} as a subject alternative name, or give --listen a name that the certificate has`,
    )
  }
  if (caFile !== undefined) {
    return { ca: (await certificatesIn(caFile, '--ca-file')).map(String).join('') }
  }
  return { ca: last?.checkIssued(last) === true ? String(last) : undefined }
}

/** Only the certificates of a PEM file. It may also hold a private key, which must not be copied. */
async function certificatesIn(path: string, flag: string): Promise<readonly X509Certificate[]> {
  let found: readonly X509Certificate[]
  try {
    const text = await readFile(path, 'utf8')
    found = [...text.matchAll(CERTIFICATE)].map(([pem]) => new X509Certificate(pem))
  } catch (cause) {
    const reason = errorCode(cause) ?? 'no certificate'
    throw new CommandError(`${path} cannot be read (${reason}); give ${flag} a PEM file with certificates`, {
      cause,
    })
  }
  if (found.length > 0) return found
  throw new CommandError(`${path} holds no certificate; give ${flag} a PEM file with certificates`)
}
