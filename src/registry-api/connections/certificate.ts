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

/** Rejects when the two do not belong together. */
export async function readCertificate({ certFile, keyFile }: CertificateFiles): Promise<Certificate> {
  const [cert, key] = await Promise.all([readFile(certFile), readFile(keyFile)])
  createSecureContext({ cert, key })
  return { cert, key }
}

/**
 * Calls `apply` when the files have changed. Looks at them instead of watching: Kubernetes swaps a symlink two folders
 * above them. While only one of them is new they do not fit, and the old pair stays until they do.
 */
export function followCertificate(
  files: CertificateFiles,
  apply: (certificate: Certificate) => void,
  { everyMs }: { everyMs: number },
): { stop(): void } {
  let known: string | undefined
  let looking = false
  const look = async () => {
    if (looking) return
    looking = true
    try {
      const state = await stateOf(files)
      if (state === known) return
      apply(await readCertificate(files))
      known = state
    } catch {
      // Halfway through a change, or gone: served on with what there is, and looked at again.
    } finally {
      looking = false
    }
  }
  void look()
  const timer = setInterval(look, everyMs)
  timer.unref()
  return { stop: () => clearInterval(timer) }
}

async function stateOf({ certFile, keyFile }: CertificateFiles): Promise<string> {
  const states = await Promise.all([stat(certFile), stat(keyFile)])
  return states.map(({ ino, mtimeMs, size }) => `${ino} ${mtimeMs} ${size}`).join(', ')
}
