import { insertAt, withMarkers } from '../files/markers.ts'
import type { OriginalFiles } from '../files/original-files.ts'
import { type Edit, type MirrorSettings, urlOf } from '../files/plan.ts'

/** The file with the CA of the agent's certificate, in a folder that the runtime reads. */
export const CA_NAME = 'leat-ca.crt'

/** No edits if no CA is needed. PEM allows any text between its parts, also markers (RFC 7468, section 2). */
export async function caEdits(
  folder: string,
  { tls }: Pick<MirrorSettings, 'tls'>,
  originals: OriginalFiles,
): Promise<readonly Edit[]> {
  if (tls?.ca === undefined) return []
  const path = caPath(folder)
  const original = (await originals.text(path)) ?? ''
  return [{ path, text: insertAt(original, original.length, withMarkers(tls.ca)) }]
}

/** The possible paths of the file if the runtime has a folder for each address. */
export async function caPaths(certificates: string, originals: OriginalFiles): Promise<readonly string[]> {
  return (await originals.files.folders(certificates)).map((address) => caPath(`${certificates}/${address}`))
}

export function caPath(folder: string): string {
  return `${folder}/${CA_NAME}`
}

export function trustNotes({ tls, ...mirror }: Pick<MirrorSettings, 'tls' | 'address'>): readonly string[] {
  if (tls === undefined || tls.ca !== undefined) return []
  return [
    `${urlOf({ ...mirror, tls })} is used only if this host trusts the CA of its certificate; otherwise give --ca-file`,
  ]
}
