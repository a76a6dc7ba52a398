import { X509Certificate } from 'node:crypto'
import { rootCertificates } from 'node:tls'
import { FileProblem } from './watched-file.ts'

/** Gives the authorities of the system and those of a PEM file. Throws a `FileProblem` if the file has none. */
export function authoritiesWith(pem: string, path: string): string[] {
  try {
    new X509Certificate(pem)
  } catch (cause) {
    throw new FileProblem(path, `${path} has no PEM certificate of an authority`, { cause })
  }
  return [...rootCertificates, pem]
}
