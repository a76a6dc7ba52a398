import { type Format, formatInName, hasFormat, readDocument } from './input/document.ts'
import { composeEnvFiles } from './input/process.ts'
import { containerd } from './kinds/containerd.ts'
import { containerdHosts } from './kinds/containerd-hosts.ts'
import { dockerDaemon } from './kinds/docker-daemon.ts'
import { dockerRegistry } from './kinds/docker-registry.ts'
import type { Kind } from './kinds/kind.ts'
import { ociProxy } from './kinds/oci-proxy.ts'
import { ociRegDocker } from './kinds/oci-reg-docker.ts'
import { ociRegistry } from './kinds/oci-registry.ts'
import { registriesConf } from './kinds/registries-conf.ts'
import { registryProxy } from './kinds/registry-proxy.ts'
import { spegel } from './kinds/spegel.ts'
import { staticContainerRegistry } from './kinds/static-container-registry.ts'
import { Draft } from './output/draft.ts'
import type { FileSettings } from './output/file-settings.ts'
import { configFile } from './output/yaml.ts'

/** The first kind that recognizes a file is taken, so those with the rarest keys come first. */
const KINDS: readonly Kind[] = [
  spegel,
  registryProxy,
  registriesConf,
  containerd,
  containerdHosts,
  dockerRegistry,
  ociProxy,
  ociRegDocker,
  staticContainerRegistry,
  ociRegistry,
  dockerDaemon,
]

/** As `--kind` names them. */
export const KIND_NAMES: readonly string[] = KINDS.map(({ name }) => name).sort()

/** A file of another tool. */
export interface GivenFile {
  readonly path: string
  readonly text: string
}

export interface Conversion {
  readonly settings: FileSettings
  /** The configuration file. */
  readonly yaml: string
  /** A sentence for each thing that has no counterpart, or that the user has to do. */
  readonly notes: readonly string[]
  /** The kinds of the files. */
  readonly kinds: readonly string[]
}

/** A file that cannot be turned into settings. Its message says what to do. */
export class UnknownFormat extends Error {}

/** Turns the settings of other tools into one configuration file. Values of earlier files win. */
export function convertSettings(
  files: readonly GivenFile[],
  { kind: named, withPasswords }: { readonly kind: string | undefined; readonly withPasswords: boolean },
): Conversion {
  const draft = new Draft({ withPasswords })
  const kinds: string[] = []
  for (const { path, text } of files) {
    const document = readDocument(text, path)
    const kind = KINDS.find(({ name }) => name === named) ?? KINDS.find((each) => each.recognizes(document))
    if (kind === undefined) {
      const format = formatInName(path)
      if (format !== undefined && !hasFormat(document, format)) throw notValid(path, format)
      throw new UnknownFormat(
        `${path} has no settings of a tool that is known (${KIND_NAMES.join(', ')}); if it is of one of them, give --kind`,
      )
    }
    if (kind.format !== undefined && !hasFormat(document, kind.format)) throw notValid(path, kind.format)
    kind.convert(document, draft)
    kinds.push(kind.title)
    for (const file of composeEnvFiles(document.yaml)) {
      draft.note(`Give ${file} to agent config import, too: it has more variables.`)
    }
  }
  const { settings, notes } = draft.finish()
  return { settings, yaml: configFile(settings, kinds), notes, kinds }
}

function notValid(path: string, format: Format): UnknownFormat {
  return new UnknownFormat(`${path} is empty, or not valid ${format.toUpperCase()}; correct it first`)
}
