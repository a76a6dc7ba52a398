import { readFile, stat } from 'node:fs/promises'
import { errorCode } from '../../lib/error-code.ts'
import { plain } from '../../observe/text.ts'
import { parseReference } from '../../oci/names/reference.ts'
import { parsePlatform } from '../../oci/platform.ts'
import { MAX_IMAGES } from '../../schemas/warm-report.ts'
import { CommandError, type Invocation } from '../context/command.ts'

const LARGEST_FILE = 1024 * 1024

/** The images that are named, on the command line and in the file, each once. */
export async function namedImages({ words, values }: Invocation): Promise<readonly string[]> {
  for (const word of words) check(word, '')
  const images = new Set([...words, ...(await listed(values['file']))])
  if (images.size === 0) {
    throw usage(
      words.length === 0 && values['file'] === undefined
        ? 'warm needs an image such as alpine:3.20, or a list of them with --file; see agent warm --help'
        : `${values['file']} names no image; write one on each line`,
    )
  }
  if (images.size > MAX_IMAGES)
    throw usage(`${images.size} images are named; at most ${MAX_IMAGES} can be at once`)
  return [...images]
}

export function namedPlatforms({ values }: Invocation): readonly string[] {
  const given = values['platform']
  const platforms = given === undefined ? [] : typeof given === 'string' ? [given] : given
  for (const platform of platforms) {
    const found = parsePlatform(platform)
    if (platform !== 'all' && !found.ok) throw usage(`--platform: ${plain(found.problem)}, or all`)
  }
  if (platforms.includes('all') && platforms.length > 1) {
    throw usage('--platform all is given, and another one besides; keep one of the two')
  }
  return platforms
}

async function listed(file: string | readonly string[] | undefined): Promise<readonly string[]> {
  if (file === undefined) return []
  if (typeof file !== 'string') throw usage('--file is given more than once; keep one')
  const lines = (await read(file)).split('\n').map((line) => line.replace(/(?:^|\s)#.*/, '').trim())
  for (const [index, line] of lines.entries()) if (line !== '') check(line, `${file}:${index + 1}: `)
  return lines.filter((line) => line !== '')
}

async function read(file: string): Promise<string> {
  try {
    if ((await stat(file)).size > LARGEST_FILE)
      throw usage(`${file} is larger than 1MiB; it cannot be a list of images`)
    return await readFile(file, 'utf8')
  } catch (cause) {
    if (cause instanceof CommandError) throw cause
    const code = errorCode(cause) ?? ''
    const why =
      { ENOENT: 'it does not exist', EACCES: 'this user may not', EISDIR: 'it is a folder' }[code] ?? code
    throw new CommandError(`${file} cannot be read: ${why}`, { cause })
  }
}

function check(image: string, where: string): void {
  const reference = parseReference(image)
  if (!reference.ok) throw usage(plain(`${where}${reference.problem}`))
}

function usage(message: string): CommandError {
  return new CommandError(message, { exitCode: 2 })
}
