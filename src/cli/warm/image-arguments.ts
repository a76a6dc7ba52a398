import { readFile, stat } from 'node:fs/promises'
import { errorCode } from '../../lib/error-code.ts'
import { plain } from '../../observe/text.ts'
import { parseReference } from '../../oci/names/reference.ts'
import { parsePlatform } from '../../oci/platform.ts'
import { MAX_IMAGES } from '../../schemas/warm-report.ts'
import { CommandError, type Invocation, usageError } from '../context/command.ts'

/** A list of the 1000 images of one request is far smaller; a larger file is something else. */
const MAX_FILE_BYTES = 1024 * 1024

/**
 * The images on the command line and in the file of --file, without duplicates. `isOptional`: there may be none, but not
 * an empty file.
 */
export async function imagesOf(
  { positionals, values }: Invocation,
  { command, isOptional = false }: { readonly command: string; readonly isOptional?: boolean },
): Promise<readonly string[]> {
  for (const image of positionals) check(image, '')
  const images = new Set([...positionals, ...(await imagesIn(values['file']))])
  const isUnnamed = positionals.length === 0 && values['file'] === undefined
  if (images.size === 0 && !(isOptional && isUnnamed)) {
    throw usageError(
      isUnnamed
        ? `${command} needs an image such as alpine:3.20, or a list of them with --file; see agent ${command} --help`
        : `${values['file']} contains no image; write one image per line`,
    )
  }
  if (images.size > MAX_IMAGES)
    throw usageError(`${images.size} images are given; one command accepts at most ${MAX_IMAGES}`)
  return [...images]
}

export function platformsOf({ values }: Invocation): readonly string[] {
  const given = values['platform']
  const platforms = given === undefined ? [] : typeof given === 'string' ? [given] : given
  for (const platform of platforms) {
    const found = parsePlatform(platform)
    if (platform !== 'all' && !found.ok) throw usageError(`--platform: ${plain(found.problem)}, or all`)
  }
  if (platforms.includes('all') && platforms.length > 1) {
    throw usageError('--platform all cannot be combined with another --platform')
  }
  return platforms
}

async function imagesIn(file: string | readonly string[] | undefined): Promise<readonly string[]> {
  if (file === undefined) return []
  if (typeof file !== 'string') throw usageError('--file is given more than once; give it once')
  const lines = (await read(file)).split('\n').map((line) => line.replace(/(?:^|\s)#.*/, '').trim())
  for (const [index, line] of lines.entries()) if (line !== '') check(line, `${file}:${index + 1}: `)
  return lines.filter((line) => line !== '')
}

async function read(file: string): Promise<string> {
  try {
    if ((await stat(file)).size > MAX_FILE_BYTES)
      throw usageError(`${file} is larger than 1MiB, which is too large for a list of images`)
    return await readFile(file, 'utf8')
  } catch (cause) {
    if (cause instanceof CommandError) throw cause
    const code = errorCode(cause) ?? ''
    const reason =
      { ENOENT: 'it does not exist', EACCES: 'permission denied', EISDIR: 'it is a folder' }[code] ?? code
    throw new CommandError(`${file} cannot be read: ${reason}`, { cause })
  }
}

function check(image: string, where: string): void {
  const reference = parseReference(image)
  if (!reference.ok) throw usageError(plain(`${where}${reference.problem}`))
}
