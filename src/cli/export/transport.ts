import { usageError } from '../context/command.ts'

/** A place in the notation of skopeo, `oci:/srv/images`. */
export interface Place<Kind extends string> {
  readonly kind: Kind
  readonly path: string
}

const TARGETS = ['oci', 'oci-archive', 'dir', 'static'] as const
const ORIGINS = ['oci', 'oci-archive', 'dir'] as const
const EXPLAINED: Readonly<Record<string, string>> = {
  oci: 'oci:PATH',
  'oci-archive': 'oci-archive:FILE',
  dir: 'dir:PATH',
  static: 'static:DIR',
}

export type Target = Place<(typeof TARGETS)[number]>
export type Origin = Place<(typeof ORIGINS)[number]>

export function parseTarget(text: string): Target {
  return parsePlace('--to', text, TARGETS)
}

export function parseOrigin(text: string): Origin {
  return parsePlace('--from', text, ORIGINS)
}

function parsePlace<Kind extends string>(flag: string, text: string, kinds: readonly Kind[]): Place<Kind> {
  const colon = text.indexOf(':')
  const kind = kinds.find((one) => one === text.slice(0, Math.max(0, colon)))
  const path = text.slice(colon + 1)
  if (kind === undefined || path === '') {
    const known = kinds.map((one) => EXPLAINED[one] ?? one)
    throw usageError(
      `${flag} is ${JSON.stringify(text)}; expected ${known.slice(0, -1).join(', ')} or ${known.at(-1)}`,
    )
  }
  // In skopeo's notation the name of an image may follow, which this command takes as an argument.
  if (kind.startsWith('oci') && path.includes(':')) {
    throw usageError(
      `${flag} is ${JSON.stringify(text)}, but a path of ${kind}: cannot have a colon; give the image as an argument, and only the path with ${flag}`,
    )
  }
  return { kind, path }
}
