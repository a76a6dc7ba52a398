import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT = fileURLToPath(new URL('../../../..', import.meta.url))

/** A command of a shell block, as it is written, with continued lines in one and without its comment. */
export interface DocumentedCommand {
  /** The path of the page. */
  readonly page: string
  readonly line: string
}

/** All commands of the README and of the pages, in their order. */
export async function documentedCommands(): Promise<readonly DocumentedCommand[]> {
  const docs = (await readdir(join(ROOT, 'docs'), { recursive: true }))
    .filter((name) => name.endsWith('.md') && !/^(?:api|adr)\//.test(name))
    .sort()
  const paths = ['README.md', 'CONTRIBUTING.md', 'deploy/README.md', ...docs.map((name) => `docs/${name}`)]
  const found: DocumentedCommand[] = []
  for (const page of paths) {
    const text = await readFile(join(ROOT, page), 'utf8')
    for (const [, block = ''] of text.matchAll(/^```(?:sh|bash|console|shell)\n(.*?)^```/gms)) {
      const lines = block.replaceAll(/\\\n\s*/g, '').split('\n')
      for (const each of lines) {
        const line = each.replace(/(?:^|\s+)#.*$/, '').trim()
        if (line !== '') found.push({ page, line })
      }
    }
  }
  return found
}

/** What the test of the documentation cannot run, and why. A command that fits none of these is run. */
const NOT_RUN: readonly (readonly [pattern: RegExp, reason: string])[] = [
  [/^(?:kubectl|helm|kind) /, 'needs a cluster; test/deploy renders the chart with the values that are set'],
  [
    /^(?:docker|podman) |docker-daemon:/,
    'needs a daemon or root storage; test/clients runs the real clients',
  ],
  [/^(?:npm|npx) (?!pack)/, 'installs or tests the project itself; test/start and .ci/run do it'],
  [
    /^npm pack$|^sudo (?:npm|install|systemctl|apt) /,
    'changes the services of the machine; test/deploy/systemd.test.ts',
  ],
  [/^htpasswd /, 'is a program of apache2-utils, which the tests do not need otherwise'],
  [/^(?:oci-registry|static-container-registry\.py) /, 'starts the tool from which somebody moves'],
  [/^[A-Za-z_]+=\S*(?: \S+)?$/, 'is a file of variables of another tool, not a command'],
  [/^agent import --from /, 'needs the cache of another tool; test/clients/imports has them'],
  [/^while .* aws s3 cp /, 'needs a bucket; test/clients/export/object-store.test.ts'],
  [/^agent copy /, 'needs a bucket; test/cli/commands/stored/copy.test.ts'],
  [/^agent gc --object-store /, 'needs a bucket; test/cli/commands/stored/gc-object-store.test.ts'],
  [
    /^agent serve --config \S+ .*--data \/var\/lib\/leat --max-bytes 50GiB$/,
    'is the same as without the limit',
  ],
  [/^sudo agent config import \/etc\//, 'needs the settings of an installed runtime; test/migrate has them'],
]

/** Why the command is not run; undefined if it is. */
export function reasonNotToRun(line: string): string | undefined {
  return NOT_RUN.find(([pattern]) => pattern.test(line))?.[1]
}

/** The patterns that no command fits any more. */
export function unusedReasons(lines: readonly string[]): readonly string[] {
  return NOT_RUN.filter(([pattern]) => !lines.some((line) => pattern.test(line))).map(([pattern]) =>
    String(pattern),
  )
}
