import { readFile, stat } from 'node:fs/promises'
import { createSecureContext } from 'node:tls'
import { errorCode } from './error-code.ts'
import { FileProblem } from './watched-file.ts'

export interface CertificateFiles {
  readonly certFile: string
  readonly keyFile: string
  /** The authorities of client certificates. With it clients are asked for one; a client may have none. */
  readonly clientCaFile?: string | undefined
}

export interface Certificate {
  readonly cert: Buffer
  readonly key: Buffer
  readonly ca?: Buffer
}

/** Rejects with a `FileProblem`, also when the key does not belong to the certificate. */
export async function readCertificate(files: CertificateFiles): Promise<Certificate> {
  const { certFile, keyFile, clientCaFile } = files
  const [cert, key] = await Promise.all([readPem(certFile), readPem(keyFile)])
  const ca = clientCaFile === undefined ? undefined : await readAuthorities(clientCaFile)
  try {
    createSecureContext({ cert, key })
  } catch (cause) {
    const problem = `${certFile} is no PEM certificate to which the key ${keyFile} belongs`
    throw new FileProblem(certFile, problem, { cause })
  }
  return { cert, key, ...(ca === undefined ? {} : { ca }) }
}

async function readPem(path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (cause) {
    throw new FileProblem(path, `${path} cannot be read: ${errorCode(cause) ?? 'unknown error'}`, { cause })
  }
}

/** Refuses a file that Node would take for a list of no authorities. */
async function readAuthorities(path: string): Promise<Buffer> {
  const ca = await readPem(path)
  try {
    if (!ca.includes('-----BEGIN CERTIFICATE-----')) throw new Error('no certificate')
    createSecureContext({ ca })
    return ca
  } catch (cause) {
    const problem = `${path} holds no PEM certificate; give the authorities of client certificates`
    throw new FileProblem(path, problem, { cause })
  }
}

interface WatchOptions {
  /** What the server has. Applied again, it would end the sessions that clients can resume. */
  readonly inUse: Certificate
  readonly intervalMs: number
  /** Called when files that have changed cannot be used, and with undefined once they can be. */
  readonly onProblem: (problem: string | undefined) => void
}

/**
 * Calls `apply` when the files have other content. The files are polled, not watched, because Kubernetes swaps a symlink two
 * folders above them. While only one of the two files is new, the pair does not match and the old pair stays in use.
 */
export function watchCertificate(
  files: CertificateFiles,
  apply: (certificate: Certificate) => void,
  { inUse, intervalMs, onProblem }: WatchOptions,
): { stop(): void } {
  let applied = inUse
  let appliedVersion: string | undefined
  let isChecking = false
  let problem: string | undefined
  const note = (found: string | undefined): void => {
    if (found !== problem) onProblem(found)
    problem = found
  }
  const check = async () => {
    if (isChecking) return
    isChecking = true
    try {
      const version = await versionOf(files)
      if (version === appliedVersion) return
      const certificate = await readCertificate(files)
      if (!isSame(certificate, applied)) apply(certificate)
      applied = certificate
      appliedVersion = version
      note(undefined)
    } catch (error) {
      // The files are missing or half replaced: the server keeps its certificate, and the next check tries again.
      note(error instanceof Error ? error.message : String(error))
    } finally {
      isChecking = false
    }
  }
  void check()
  const timer = setInterval(check, intervalMs)
  timer.unref()
  return { stop: () => clearInterval(timer) }
}

function isSame(one: Certificate, other: Certificate): boolean {
  return (
    one.cert.equals(other.cert) &&
    one.key.equals(other.key) &&
    (one.ca === undefined || other.ca === undefined ? one.ca === other.ca : one.ca.equals(other.ca))
  )
}

async function versionOf({ certFile, keyFile, clientCaFile }: CertificateFiles): Promise<string> {
  const all = [certFile, keyFile, ...(clientCaFile === undefined ? [] : [clientCaFile])]
  const stats = await Promise.all(all.map((file) => stat(file))).catch(() => [])
  return stats.map(({ ino, mtimeMs, size }) => `${ino} ${mtimeMs} ${size}`).join(', ')
}
