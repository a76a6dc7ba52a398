import { readFile, stat } from 'node:fs/promises'
import { createSecureContext } from 'node:tls'
import { errorCode } from '../../lib/error-code.ts'
import { FileProblem } from '../../lib/watched-file.ts'
import { publish } from '../../observe/events.ts'

export interface CertificateFiles {
  readonly certFile: string
  readonly keyFile: string
}

export interface Certificate {
  readonly cert: Buffer
  readonly key: Buffer
}

/** Rejects with a `FileProblem`, also when the key does not belong to the certificate. */
export async function readCertificate({ certFile, keyFile }: CertificateFiles): Promise<Certificate> {
  const [cert, key] = await Promise.all([readPem(certFile), readPem(keyFile)])
  try {
    createSecureContext({ cert, key })
  } catch (cause) {
    const problem = `${certFile} is no PEM certificate to which the key ${keyFile} belongs`
    throw new FileProblem(certFile, problem, { cause })
  }
  return { cert, key }
}

async function readPem(path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (cause) {
    throw new FileProblem(path, `${path} cannot be read: ${errorCode(cause) ?? 'unknown error'}`, { cause })
  }
}

/**
 * Calls `apply` when the files have changed. The files are polled, not watched, because Kubernetes swaps a symlink two
 * folders above them. While only one of the two files is new, the pair does not match and the old pair stays in use.
 */
export function watchCertificate(
  files: CertificateFiles,
  apply: (certificate: Certificate) => void,
  { intervalMs }: { intervalMs: number },
): { stop(): void } {
  let appliedVersion: string | undefined
  let isChecking = false
  let problem: string | undefined
  const note = (found: string | undefined): void => {
    if (found !== problem) publish('file.checked', { file: files.certFile, problem: found })
    problem = found
  }
  const check = async () => {
    if (isChecking) return
    isChecking = true
    try {
      const version = await versionOf(files)
      if (version === appliedVersion) return
      apply(await readCertificate(files))
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

async function versionOf({ certFile, keyFile }: CertificateFiles): Promise<string> {
  const stats = await Promise.all([stat(certFile), stat(keyFile)]).catch(() => [])
  return stats.map(({ ino, mtimeMs, size }) => `${ino} ${mtimeMs} ${size}`).join(', ')
}
