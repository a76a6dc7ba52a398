import { type Parsed, parsed, refused } from '../lib/parsed.ts'
import type { Platform } from './manifest.ts'

const PART = /^[a-z0-9][a-z0-9_.-]{0,31}$/
const ARCHITECTURES: Readonly<Record<string, readonly [architecture: string, variant?: string]>> = {
  x86_64: ['amd64'],
  'x86-64': ['amd64'],
  aarch64: ['arm64'],
  armhf: ['arm', 'v7'],
  armel: ['arm', 'v6'],
  i386: ['386'],
}
/** The level of a platform without a variant, and the lowest level of the architecture. */
const VARIANT_LEVELS: Readonly<Record<string, { readonly usual: number; readonly least: number }>> = {
  amd64: { usual: 1, least: 1 },
  arm: { usual: 7, least: 5 },
  arm64: { usual: 8, least: 8 },
}
/** The architectures for which Node and images have different names. */
const NODE_ARCHITECTURES: Readonly<Record<string, string>> = {
  x64: 'amd64',
  ia32: '386',
  ppc64: 'ppc64le',
  loong64: 'loong64',
}

/** Parses a platform such as `linux/amd64` or `linux/arm/v7`. */
export function parsePlatform(text: string): Parsed<Platform> {
  const [os = '', architecture = '', variant, ...more] = text.toLowerCase().split('/')
  const parts = variant === undefined ? [os, architecture] : [os, architecture, variant]
  if (more.length > 0 || !parts.every((part) => PART.test(part))) {
    return refused(`"${text}" is not a platform: write os/architecture, such as linux/arm64 or linux/arm/v7`)
  }
  return parsed(normalize({ os, architecture, variant }))
}

export function platformText({ os, architecture, variant }: Platform): string {
  return variant === undefined ? `${os}/${architecture}` : `${os}/${architecture}/${variant}`
}

/** Gives the platform of containers on this machine. */
export function platformOfNode({ arch, platform }: { arch: string; platform: string } = process): Platform {
  const os = platform === 'win32' ? 'windows' : 'linux'
  return { os, architecture: NODE_ARCHITECTURES[arch] ?? arch, variant: undefined }
}

/** Chooses the offers that a node of the wanted platform runs: those of its own variant, or else of the next lower one. */
export function selectForPlatform<Offer extends { readonly platform: Platform | undefined }>(
  offers: readonly Offer[],
  wanted: Platform,
): readonly Offer[] {
  const { os, architecture, variant } = normalize(wanted)
  const same = offers.filter(({ platform }) => {
    const named = platform && normalize(platform)
    return named?.os === os && named.architecture === architecture
  })
  const level = levelOf(architecture, variant)
  if (level === undefined) {
    return same.filter(({ platform }) => platform && normalize(platform).variant === variant)
  }
  const { least = level } = VARIANT_LEVELS[architecture] ?? {}
  for (let next = level; next >= least; next -= 1) {
    const found = same.filter(
      ({ platform }) => platform && levelOf(architecture, normalize(platform).variant) === next,
    )
    if (found.length > 0) return found
  }
  return []
}

function levelOf(architecture: string, variant: string | undefined): number | undefined {
  if (variant === undefined) return VARIANT_LEVELS[architecture]?.usual
  const level = /^v?(\d)$/.exec(variant)?.[1]
  return level === undefined ? undefined : Number(level)
}

/** Gives the one name of a platform: builders and people write the same platform in several ways. */
function normalize({ os, architecture, variant }: Platform): Platform {
  const [name, its] = ARCHITECTURES[architecture] ?? [architecture]
  return { os: os === 'macos' ? 'darwin' : os, architecture: name, variant: (variant || undefined) ?? its }
}
