import * as v from 'valibot'
import { plain, plural } from '../../observe/text.ts'
import { ImageReport } from '../../schemas/content-report.ts'
import { type Finding, notChecked, ok, warning } from '../tools/finding.ts'
import { failureText, getAdmin } from '../tools/http-get.ts'
import type { AdminAddress } from '../tools/node-settings.ts'

const ImageLine = v.pipe(
  v.string(),
  v.parseJson(),
  v.pick(ImageReport, ['repository', 'tag', 'state', 'checkedAt', 'importedAt']),
)
type ListedImage = v.InferOutput<typeof ImageLine>

/** How many images a finding names. */
const MAX_NAMED = 3

/** Whether images that `agent import` has stored can still be pulled without a registry. */
export async function checkImports(
  admin: AdminAddress,
  { signal }: { signal: AbortSignal },
): Promise<readonly Finding[]> {
  let text: string
  try {
    const answer = await getAdmin(admin, '/api/v1/images', signal)
    text = answer.status === 200 ? answer.text : ''
  } catch (error) {
    return [notChecked('imports-unknown', `the agent cannot be asked for its images (${failureText(error)})`)]
  }
  const images = text.split('\n').flatMap((line) => {
    const image = line === '' ? undefined : v.safeParse(ImageLine, line)
    return image?.success === true ? [image.output] : []
  })
  return judgeImports(images)
}

/** Gives no finding if nothing was imported. */
export function judgeImports(images: readonly ListedImage[]): readonly Finding[] {
  const imported = images.filter(({ importedAt }) => importedAt !== undefined)
  if (imported.length === 0) return []
  const broken = imported.filter(({ state }) => state !== 'whole')
  if (broken.length > 0) {
    return [
      warning(
        'imports-incomplete',
        `parts of ${namesText(broken)} were evicted or removed after the import`,
        {
          means: 'such an image cannot be pulled while its registry cannot be reached',
          todo: 'import it again with agent import --pin, or raise --max-bytes',
        },
      ),
    ]
  }
  const unconfirmed = imported.filter(({ checkedAt, importedAt }) => checkedAt === importedAt).length
  const confirmed = unconfirmed === 0 ? '' : `; no registry has confirmed ${unconfirmed} of them`
  return [
    ok(
      'imports-whole',
      `${plural(imported.length, 'imported tag')} can be pulled for as long as no registry names another digest${confirmed}`,
    ),
  ]
}

function namesText(images: readonly ListedImage[]): string {
  const names = images.slice(0, MAX_NAMED).map(({ repository, tag }) => plain(`${repository}:${tag}`))
  const more = images.length - names.length
  return more === 0 ? names.join(', ') : `${names.join(', ')} and ${plural(more, 'more image')}`
}
