import { readFile, stat } from 'node:fs/promises'
import { createSecureContext } from 'node:tls'

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

/** Rejects when the key does not belong to the certificate. */
export async function readCertificate(files: CertificateFiles): Promise<Certificate> {
  const { certFile, keyFile, clientCaFile } = files
  const [cert, key] = await Promise.all([readFile(certFile), readFile(keyFile)])
  const ca = clientCaFile === undefined ? undefined : await readAuthorities(clientCaFile)
  const certificate = { cert, key, ...(ca === undefined ? {} : { ca }) }
  createSecureContext(certificate)
  return certificate
}

/** Refuses a file without a certificate: Node would take it for the authorities of the whole Internet, or for none. */
async function readAuthorities(file: string): Promise<Buffer> {
  const pem = await readFile(file)
  if (pem.includes('-----BEGIN CERTIFICATE-----')) return pem
  throw new Error(`${file} holds no certificate; give the authorities of client certificates as PEM`)
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

async function versionOf({ certFile, keyFile, clientCaFile }: CertificateFiles): Promise<string> {
  const all = [certFile, keyFile, ...(clientCaFile === undefined ? [] : [clientCaFile])]
  const stats = await Promise.all(all.map((file) => stat(file)))
  return stats.map(({ ino, mtimeMs, size }) => `${ino} ${mtimeMs} ${size}`).join(', ')
}
