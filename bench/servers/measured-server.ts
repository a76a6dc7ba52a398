import type { Program } from '../program.ts'

/** One of the servers that are compared. */
export interface MeasuredServer {
  readonly name: string
  readonly port: number
  readonly program: Program
  blobPath(digest: string): string
  manifestPath(digest: string): string
  /** The file that appears when content is stored. */
  storedFile(digest: string): string
  stop(): Promise<void>
}

export const REPOSITORY = 'bench/image'

export function hex(digest: string): string {
  return digest.slice(digest.indexOf(':') + 1)
}
