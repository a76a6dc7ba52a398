import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type Digest, parseDigest } from '../../../src/oci/digest.ts'
import type { NameRules } from '../../../src/oci/names/name-rules.ts'
import type { Repository } from '../../../src/oci/names/repository.ts'
import type { Content } from '../../../src/ports/content.ts'
import type { LocalSource } from '../../../src/ports/local-source.ts'
import { FileVerifier } from '../../../src/sources/files/file-verifier.ts'
import { OciLayoutSource } from '../../../src/sources/files/oci-layout.ts'
import { SkopeoFolderSource } from '../../../src/sources/files/skopeo-folder.ts'

const signal = new AbortController().signal

export async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'leat-source-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

interface FileSource extends Partial<Omit<NameRules, 'defaultRegistry'>> {
  readonly from: { readonly kind: 'oci' | 'dir'; readonly path: string }
}

export function openSource(t: TestContext, { from, ...given }: FileSource): LocalSource {
  const verifier = new FileVerifier()
  t.after(() => verifier.close())
  const rules: NameRules = {
    registry: undefined,
    defaultRegistry: 'docker.io',
    namePrefix: undefined,
    prefixes: [],
    ...given,
  }
  const kind = from.kind === 'oci' ? OciLayoutSource : SkopeoFolderSource
  return new kind({ path: from.path, rules, isExclusive: false, verifier })
}

export function hub(name: string): Repository {
  return { registry: 'docker.io', name }
}

function digest(text: string): Digest {
  return parseDigest(text) ?? assert.fail(`${text} is no digest`)
}

/** All bytes, as far as they may be read. Closes the content. */
export async function readWhole(content: Content | undefined): Promise<Buffer> {
  assert.ok(content, 'there is no content')
  try {
    const bytes = Buffer.alloc(content.size)
    for (let at = 0; at < content.size; ) {
      const end = await content.readable(at, { signal })
      at += await content.read(bytes.subarray(at, end), at)
    }
    return bytes
  } finally {
    await content.close()
  }
}

export async function tagOf(
  source: LocalSource,
  repository: Repository,
  tag: string,
): Promise<string | undefined> {
  return (await source.tag(repository, tag, { signal }))?.digest
}

export function open(
  source: LocalSource,
  repository: Repository,
  wanted: string,
  kind: 'manifest' | 'blob' = 'blob',
) {
  return source.open({ repository, digest: digest(wanted), kind }, { signal })
}
