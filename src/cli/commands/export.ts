import { ExportError } from '../../export/targets/export-error.ts'
import { writeSmallFile } from '../../export/targets/whole-file.ts'
import { plain } from '../../observe/text.ts'
import { parsePlatforms } from '../../oci/index-selection.ts'
import { adminFlags } from '../context/admin-target.ts'
import {
  type Command,
  CommandError,
  DATA_FLAG,
  JSON_FLAG,
  singleValue,
  usageError,
} from '../context/command.ts'
import { asCommandError } from '../context/upkeep.ts'
import { withImages } from '../export/images.ts'
import { runExport } from '../export/output.ts'
import { STATIC_FLAGS, staticOptions } from '../export/static-options.ts'
import { openBundle, openTarget } from '../export/target.ts'
import { parseOrigin, parseTarget } from '../export/transport.ts'
import { imagesOf, platformsOf } from '../warm/image-arguments.ts'

/** `agent export REF... --to TARGET`. */
export const exportImages: Command = {
  positionals: [
    {
      name: 'image',
      help: 'an image such as alpine:3.20, ghcr.io/acme/app:v1 or ghcr.io/acme/app@sha256:…; with --from, the default is all',
      isMany: true,
      isOptional: true,
    },
  ],
  flags: [
    {
      name: 'to',
      kind: 'text',
      help: 'oci:PATH, oci-archive:FILE, dir:PATH or static:DIR',
      defaultText: undefined,
    },
    {
      name: 'from',
      kind: 'text',
      help: 'read images from oci:PATH, oci-archive:FILE or dir:PATH instead of from the agent',
      defaultText: undefined,
    },
    {
      name: 'platform',
      kind: 'list',
      help: 'os/architecture[/variant], or all; may be given several times',
      defaultText: 'all',
    },
    {
      name: 'referrers',
      kind: 'switch',
      help: 'also export referrers: signatures, attestations and the like',
      defaultText: undefined,
    },
    {
      name: 'file',
      kind: 'text',
      help: 'file with one image per line; # starts a comment',
      defaultText: undefined,
    },
    {
      name: 'since',
      kind: 'list',
      help: 'make a bundle for oci: or oci-archive: without the contents that this list of an earlier one names; may be given several times',
      defaultText: undefined,
    },
    {
      name: 'list',
      kind: 'text',
      help: 'make a bundle, and write the list of its contents into this file, for the next --since',
      defaultText: undefined,
    },
    ...STATIC_FLAGS,
    DATA_FLAG,
    ...adminFlags(),
    JSON_FLAG,
  ],
  examples: [
    {
      line: 'agent export alpine:3.20 --to oci-archive:alpine.tar',
      what: 'write an image with all its platforms into an archive',
    },
    {
      line: 'agent export --file images.txt --platform linux/amd64 --referrers --to oci:/srv/layout',
      what: 'write a list of images with their signatures into an OCI layout',
    },
    {
      line: 'agent export --file images.txt --to oci-archive:june.tar --since may.json --list june.json',
      what: 'write a bundle with what is new since the one of May',
    },
    {
      line: 'agent export alpine:3.20 --to dir:/srv/alpine',
      what: 'write what skopeo copy … dir:/srv/alpine writes',
    },
    {
      line: 'agent export --from dir:images --to static:/srv/registry --nginx registry.conf',
      what: 'make a registry that nginx serves from a folder of skopeo, without an agent',
    },
  ],
  async run(given, terminal) {
    const to = singleValue(given, 'to')
    if (to === undefined) {
      throw usageError(
        'export needs --to with oci:PATH, oci-archive:FILE, dir:PATH or static:DIR; see agent export --help',
      )
    }
    const target = parseTarget(to)
    const from = singleValue(given, 'from')
    const origin = from === undefined ? undefined : parseOrigin(from)
    if (origin !== undefined && given.values['data'] !== undefined) {
      throw usageError('--from reads images from files and --data from a data folder; give only one of them')
    }
    const more = staticOptions(given, target)
    const names = await imagesOf(given, {
      command: 'export',
      isOptional: origin !== undefined || more.hasConfigs,
    })
    const selection = parsePlatforms(platformsOf(given), 'all')
    if (!selection.ok) throw usageError(`--platform: ${plain(selection.problem)}`)
    const listFile = singleValue(given, 'list')
    const signal = terminal.stopped()
    try {
      const bundle = await openBundle(given, target)
      let isComplete = true
      if (names.length > 0 || origin !== undefined) {
        await withImages(
          given,
          terminal,
          { names, origin, signal },
          async ({ reader, references, isOneNamed }) => {
            const images = references.map((reference) => ({
              reference,
              selection: selection.value,
              referrers: given.switches.has('referrers'),
            }))
            const opened = await openTarget(target, { isOneNamed, namePrefix: more.namePrefix, bundle })
            isComplete = await runExport({ reader, target: opened, images, signal }, terminal, {
              isJson: given.switches.has('json'),
            })
          },
        )
      }
      if (listFile !== undefined && bundle !== undefined) await writeSmallFile(listFile, bundle.bytes())
      await more.writeConfigs()
      return isComplete ? 0 : 1
    } catch (error) {
      throw error instanceof ExportError
        ? new CommandError(plain(error.message), { cause: error })
        : asCommandError(error)
    }
  },
}
