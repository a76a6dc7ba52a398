import { readFile, stat } from 'node:fs/promises'
import { createSecureContext } from 'node:tls'

export interface CertificateFiles {
  readonly certFile: string
  readonly keyFile: string
}

export interface Certificate {
  readonly cert: Buffer
  readonly key: Buffer
}

/** Rejects when the key does not belong to the certificate. */
export async function readCertificate({ certFile, keyFile }: CertificateFiles): Promise<Certificate> {
  const [cert, key] = await Promise.all([readFile(certFile), readFile(keyFile)])
  createSecureContext({ cert, key })
  return { cert, key }
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
  const check = async () => {
    if (isChecking) return
    isChecking = true
    try {
      const version = await versionOf(files)
      if (version === appliedVersion) return
      apply(await readCertificate(files))
      appliedVersion = version
    } catch {
      // The files are missing or half replaced: the server keeps its certificate, and the next check tries again.
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
  const stats = await Promise.all([stat(certFile), stat(keyFile)])
  return stats.map(({ ino, mtimeMs, size }) => `${ino} ${mtimeMs} ${size}`).join(', ')
}
