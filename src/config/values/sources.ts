import { parseRegistryHost } from '../../oci/names/registry-host.ts'
import { HOST_SCHEMA } from './address.ts'
import {
  type Format,
  type GivenValue,
  listOf,
  matching,
  oneOf,
  path,
  record,
  refuse,
  text,
  yesOrNo,
} from './format.ts'

/** Images on this machine that are served without being pulled. */
export interface SourceSettings {
  readonly from:
    | { readonly kind: 'docker'; readonly host: string; readonly compress: 'gzip' | 'zstd' | undefined }
    | { readonly kind: 'oci' | 'dir'; readonly path: string }
  /** The registry under whose name the images are served; undefined: the one in their own names. */
  readonly registry: string | undefined
  readonly namePrefix: string | undefined
  readonly prefixes: readonly string[]
  /** Nobody else is asked for these names. */
  readonly isExclusive: boolean
}

const KINDS = ['docker', 'ociLayout', 'dir'] as const
const NAME_PREFIX = /^[a-z0-9]+(?:[._/-]+[a-z0-9]+)*\/?$/
/** `env`: what the variables of Docker's own client say. */
const dockerHost = matching(
  /^(?:env|unix:\/\/\/.+|tcp:\/\/[^/\s]+)$/,
  'env, unix:///var/run/docker.sock or tcp://host:2376',
)
const entry = record({
  docker: dockerHost,
  ociLayout: path,
  dir: path,
  registry: text(parseRegistryHost, 'a registry such as docker.io or localhost:5000', HOST_SCHEMA),
  namePrefix: matching(NAME_PREFIX, 'the first part of a name such as acme/base', 200),
  prefixes: listOf(text((given) => given, 'the first letters of names such as acme/')),
  exclusive: yesOrNo,
  compress: oneOf('gzip', 'zstd'),
})

function readItem(item: GivenValue): SourceSettings {
  const given = entry.read(item)
  const named = KINDS.filter((kind) => given[kind] !== undefined)
  if (named.length !== 1) {
    return refuse(
      item,
      `has ${named.length === 0 ? 'no source' : named.join(' and ')}; expected one of ${KINDS.join(', ')}`,
    )
  }
  if (given.compress !== undefined && given.docker === undefined) {
    return refuse(item, 'has compress, which is for docker only')
  }
  const { registry, namePrefix, prefixes = [], exclusive = false, compress } = given
  return Object.freeze({
    from: sourceIn(given, compress),
    registry,
    namePrefix,
    prefixes,
    isExclusive: exclusive,
  })
}

function sourceIn(
  { docker, ociLayout, dir }: ReturnType<typeof entry.read>,
  compress: 'gzip' | 'zstd' | undefined,
): SourceSettings['from'] {
  if (docker !== undefined) return { kind: 'docker', host: docker, compress }
  if (ociLayout !== undefined) return { kind: 'oci', path: ociLayout }
  return { kind: 'dir', path: dir ?? '' }
}

/** The `sources` setting. */
export const sources: Format<readonly SourceSettings[]> = {
  read: (given) => {
    if (typeof given.value === 'string') return refuse(given, 'has no value; expected a list of sources')
    return listOf({ ...entry, read: readItem }).read(given)
  },
  jsonSchema: { type: 'array', items: entry.jsonSchema },
  show: listOf(entry).show,
}
