import { loadSetting } from '../../../config/load.ts'
import { readProxies } from '../../../config/proxies.ts'
import type { ExportRequest } from '../../../export/export-run.ts'
import { ExportError } from '../../../export/targets/export-error.ts'
import type { BucketPlace } from '../../../object-store/copy.ts'
import { plain } from '../../../observe/text.ts'
import { parsePlatforms } from '../../../oci/index-selection.ts'
import { adminFlags } from '../../context/admin-target.ts'
import {
  type Command,
  CommandError,
  DATA_FLAG,
  type Invocation,
  JSON_FLAG,
  type Terminal,
  usageError,
} from '../../context/command.ts'
import { givenSettings } from '../../context/settings.ts'
import { asCommandError } from '../../context/upkeep.ts'
import { bucketPlace } from '../../export/bucket-place.ts'
import { withImages } from '../../export/images.ts'
import { runExport } from '../../export/output.ts'
import { imagesOf, platformsOf } from '../../warm/image-arguments.ts'

/** `agent copy REF... --to s3://BUCKET`. */
export const copy: Command = {
  positionals: [
    {
      name: 'image',
      help: 'an image such as alpine:3.20, ghcr.io/acme/app:v1 or ghcr.io/acme/app@sha256:…',
      isMany: true,
      isOptional: true,
    },
  ],
  flags: [
    { name: 'to', kind: 'text', help: 's3://BUCKET or s3://BUCKET/PREFIX', defaultText: undefined },
    {
      name: 'endpoint',
      kind: 'text',
      help: 'URL of the server of the bucket',
      defaultText: 'that of objectStore in the settings, or AWS',
    },
    {
      name: 'region',
      kind: 'text',
      help: 'region of the bucket',
      defaultText: 'that of objectStore in the settings, or AWS_REGION',
    },
    {
      name: 'platform',
      kind: 'list',
      help: 'os/architecture[/variant], or all; may be given several times',
      defaultText: 'all',
    },
    {
      name: 'file',
      kind: 'text',
      help: 'file with one image per line; # starts a comment',
      defaultText: undefined,
    },
    {
      name: 'dry-run',
      kind: 'switch',
      help: 'write nothing; say what would be sent',
      defaultText: undefined,
    },
    DATA_FLAG,
    ...adminFlags(),
    JSON_FLAG,
  ],
  examples: [
    {
      line: 'agent copy alpine:3.20 --to s3://bucket-eu/prefix --region eu-central-1',
      what: 'write an image with all its platforms and signatures into a bucket',
    },
    {
      line: 'agent copy --file images.txt --to s3://bucket-eu --dry-run',
      what: 'say how much of a list of images is not there yet',
    },
  ],
  async run(given, terminal) {
    const place = await bucketPlace(given, terminal)
    const costPerGiB = await costOf(place, given, terminal)
    const names = await imagesOf(given, { command: 'copy', isOptional: false })
    const selection = parsePlatforms(platformsOf(given), 'all')
    if (!selection.ok) throw usageError(`--platform: ${plain(selection.problem)}`)
    const signal = terminal.stopped()
    // Loaded here only, because no other command signs requests for uploads.
    const [{ BucketCopy }, { BucketTarget }] = await Promise.all([
      import('../../../object-store/copy.ts'),
      import('../../../export/bucket/bucket-target.ts'),
    ])
    let isComplete = true
    try {
      await withImages(given, terminal, { names, origin: undefined, signal }, async (opened) => {
        const { version, env } = terminal
        const isDryRun = given.switches.has('dry-run')
        const parts = { userAgent: `leat/${version}`, proxies: readProxies(env), isDryRun, signal }
        const target = new BucketTarget(new BucketCopy(place, parts))
        const images = opened.references.map((reference) => ({
          reference,
          selection: selection.value,
          referrers: true,
        }))
        const request = { reader: opened.reader, target, images, signal, isDryRun, verb: 'copied' } as const
        isComplete = await show(request, given, terminal, costPerGiB)
      })
      return isComplete ? 0 : 1
    } catch (error) {
      throw error instanceof ExportError
        ? new CommandError(plain(error.message), { cause: error })
        : asCommandError(error)
    }
  },
}

/** Runs the copy, and closes its target. False: referrers may be missing. */
function show(
  request: ExportRequest & { readonly isDryRun: boolean },
  given: Invocation,
  terminal: Terminal,
  costPerGiB: number | undefined,
): Promise<boolean> {
  const advice = 'copy it again when the registry answers'
  const words = request.isDryRun
    ? { image: 'would be copied', done: 'Would copy', advice }
    : { image: 'copied', done: 'Copied', advice }
  return runExport(request, terminal, {
    isJson: given.switches.has('json'),
    words,
    costPerGiB,
  })
}

/** What a GiB that is sent to the bucket costs, if the settings have copies into it. */
async function costOf(
  { bucket, prefix }: BucketPlace,
  given: Invocation,
  terminal: Terminal,
): Promise<number | undefined> {
  const copies = await loadSetting('copies', givenSettings(given, terminal))
  return copies.find(({ to }) => to.bucket === bucket && to.prefix === prefix)?.costPerGiB
}
