import { insertAt, marked } from '../files/marks.ts'
import { type Edit, urlOf, type Wanted } from '../files/plan.ts'
import type { Present } from '../files/present.ts'

/** Who has signed the certificate of an agent that speaks TLS, in files of their own that are named like this. */
const NAME = 'leat-ca.crt'

/** Nothing when there is nothing to tell. Between the parts of a PEM file any text may stand (RFC 7468, section 2). */
export async function caEdits(
  folder: string,
  { tls }: Pick<Wanted, 'tls'>,
  present: Present,
): Promise<readonly Edit[]> {
  if (tls?.ca === undefined) return []
  const path = `${folder}/${NAME}`
  const theirs = (await present.text(path)) ?? ''
  return [{ path, text: insertAt(theirs, theirs.length, marked(tls.ca)) }]
}

/** Where it may be, in a folder that has a folder for each address. */
export async function caPlaces(certificates: string, present: Present): Promise<readonly string[]> {
  return (await present.files.folders(certificates)).map((address) => `${certificates}/${address}/${NAME}`)
}

export function caPath(folder: string): string {
  return `${folder}/${NAME}`
}

export function trustNotes({ tls, ...wanted }: Pick<Wanted, 'tls' | 'address'>): readonly string[] {
  if (tls === undefined || tls.ca !== undefined) return []
  return [
    `it asks ${urlOf({ ...wanted, tls })} only if this host trusts who has signed the certificate there; else give --ca-file`,
  ]
}
