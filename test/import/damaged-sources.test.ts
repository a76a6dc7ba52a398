import assert from 'node:assert/strict'
import { mkdir, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { readAll } from '../../src/fetch/manifests/manifest-body.ts'
import type { Transport } from '../../src/import/open-import.ts'
import { Failure } from '../../src/ports/failure.ts'
import { runs } from '../../testkit/property-runs.ts'
import { buildBuildKitIndex } from '../../testkit/registries/artefacts.ts'
import { buildImage, type Image, type Index } from '../../testkit/registries/image.ts'
import {
  type Files,
  layoutFiles,
  partsOf,
  skopeoFiles,
  writeArchive,
  writeFiles,
} from '../../testkit/registries/image-folders.ts'
import {
  classicArchiveFiles,
  containerdArchiveFiles,
  dockerRegistryFiles,
  ociRegistryFiles,
  registryProxyFiles,
} from '../../testkit/registries/kept-images.ts'
import { SeededRandom } from '../../testkit/seeded-random.ts'
import { asDigest, type Imported, type ImportLab, startLab } from './import-lab.ts'

/** Damages what can be imported in every way that a broken disk, another program or an attacker may damage it. */

type Images = Readonly<Record<string, Image | Index>>

const FORMS: Readonly<
  Record<string, { readonly transport: Transport; readonly isArchive: boolean; files(images: Images): Files }>
> = {
  'a layout': { transport: 'oci', isArchive: false, files: layoutFiles },
  'an archive of a layout': { transport: 'oci-archive', isArchive: true, files: layoutFiles },
  'an archive of Docker': {
    transport: 'docker-archive',
    isArchive: true,
    files: (images) =>
      classicArchiveFiles(
        Object.fromEntries(Object.entries(images).filter(isClassic)) as Record<string, Image>,
      ),
  },
  'an archive of Docker with containerd': {
    transport: 'docker-archive',
    isArchive: true,
    files: containerdArchiveFiles,
  },
  'folders of skopeo': { transport: 'dir', isArchive: false, files: folderFiles },
  'the storage of a registry': { transport: 'docker-registry', isArchive: false, files: dockerRegistryFiles },
  'the cache of oci-registry': { transport: 'oci-registry', isArchive: false, files: ociRegistryFiles },
  'the storage of a proxy': { transport: 'registry-proxy', isArchive: false, files: registryProxyFiles },
}
/** What a text or a number in JSON may be instead. */
const HOSTILE: readonly unknown[] = [
  ...[
    '',
    '../../../etc/passwd',
    '/etc/passwd',
    'sha256:',
    `sha256:${'0'.repeat(64)}`,
    'sha512:../..',
    '\u0000',
  ],
  ...[-1, 0, 1e300, 2 ** 53, 0.5, null, true, [], {}, [[[[]]]]],
  'x'.repeat(70_000),
]
const CASES = runs(5)

function isClassic([name]: readonly [string, Image | Index]): boolean {
  return name.startsWith('up.test/acme/app:')
}

function folderFiles(images: Images): Files {
  const files: Files = new Map()
  for (const [name, image] of Object.entries(images)) {
    if ('images' in image) continue
    for (const [file, bytes] of skopeoFiles(image)) files.set(`${name.replace(':', '/')}/${file}`, bytes)
  }
  return files
}

/** Other contents for each case, so that nothing of it is stored before. */
function imagesOf(seed: string): Images {
  return {
    'up.test/acme/app:v1': buildImage(seed, { layerSizes: [3_000, 100] }),
    'up.test/acme/buildkit:v1': buildBuildKitIndex(seed),
  }
}

/** Changes one file, and says how. */
function damage(files: Files, random: SeededRandom): string {
  const names = [...files.keys()]
  const json = names.filter((name) => files.get(name)?.[0] === 0x7b || files.get(name)?.[0] === 0x5b)
  const name = random.pick(random.chance(0.7) && json.length > 0 ? json : names)
  const bytes = Buffer.from(files.get(name) ?? assert.fail(name))
  const set = (how: string, changed: Uint8Array): string => {
    files.set(name, changed)
    return `${name}: ${how}`
  }
  switch (random.between(0, 5)) {
    case 0:
      return set('cut short', bytes.subarray(0, random.between(0, Math.max(0, bytes.length - 1))))
    case 1: {
      const at = random.between(0, Math.max(0, bytes.length - 1))
      bytes[at] = (bytes[at] ?? 0) ^ (1 << random.between(0, 7))
      return set(`byte ${at} changed`, bytes)
    }
    case 2:
      return set('longer', Buffer.concat([bytes, Buffer.alloc(random.between(1, 5_000), '{')]))
    case 3:
      files.delete(name)
      return `${name}: removed`
    default:
      return set('hostile', hostile(bytes, random))
  }
}

/** Replaces one value in JSON; other bytes become a text that is none. */
function hostile(bytes: Buffer, random: SeededRandom): Uint8Array {
  try {
    const json: unknown = JSON.parse(bytes.toString())
    const places: [object, string][] = []
    const visit = (value: unknown): void => {
      if (typeof value !== 'object' || value === null) return
      for (const [key, inside] of Object.entries(value)) {
        places.push([value, key])
        visit(inside)
      }
    }
    visit(json)
    const [parent, key] = random.pick(places)
    Reflect.set(parent, key, random.pick(HOSTILE))
    return Buffer.from(JSON.stringify(json))
  } catch {
    return Buffer.from('neither a digest nor JSON')
  }
}

async function write(path: string, files: Files, isArchive: boolean): Promise<void> {
  if (isArchive) return writeArchive(path, files)
  await mkdir(path, { recursive: true })
  await writeFiles(path, files)
}

/** The import, or the sentence with which all of it is refused. */
async function importOf(lab: ImportLab, transport: Transport, rest: string): Promise<Imported | string> {
  try {
    return await lab.run({ transport, rest }, { referrers: true })
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    return error.message
  }
}

function assertSentence(text: string, what: string): void {
  assert.match(text, /^\P{Cc}{8,3000}$/u, `${what}: ${text.slice(0, 300)}`)
}

/** Every content that is stored is what its digest says, and an image with a name is whole. */
async function assertSound(lab: ImportLab, images: Images, imported: Imported | string, what: string) {
  if (typeof imported === 'string') assertSentence(imported, what)
  else {
    for (const { error } of imported.leftOut) assertSentence(error, what)
    for (const { error } of imported.images) if (error !== null) assertSentence(error, what)
  }
  for (const { digest, bytes } of Object.values(images).flatMap(partsOf)) {
    const content = await lab.store.blobs.open(asDigest(digest))
    if (content === undefined) continue
    const stored = await readAll((target, at) => content.read(target, at), content.size)
    await content.close()
    assert.deepEqual(Buffer.from(stored), bytes, what)
  }
  const named = typeof imported === 'string' ? [] : imported.images.filter(({ error }) => error === null)
  for (const { image, digest } of named) {
    assert.ok(await lab.isStored(digest ?? ''), `${what}: ${image}`)
    const whole = Object.values(images).find(({ manifest }) => manifest.digest === digest)
    if (whole === undefined || 'images' in whole) continue
    for (const part of partsOf(whole)) assert.ok(await lab.isStored(part.digest), `${what}: ${image}`)
  }
}

for (const [form, { transport, isArchive, files: filesOf }] of Object.entries(FORMS)) {
  test(`whatever is damaged in ${form}, what is imported is right, and a sentence tells what is not`, async (t) => {
    const lab = await startLab(t)
    const random = new SeededRandom(CASES.seed)
    const images = imagesOf(`${form} undamaged`)
    await write(join(lab.folder, 'undamaged'), filesOf(images), isArchive)
    const undamaged = await importOf(lab, transport, join(lab.folder, 'undamaged'))
    assert.ok(typeof undamaged !== 'string' && undamaged.done.failed === 0 && undamaged.done.images > 0)
    for (let at = 0; at < CASES.numRuns; at++) {
      const own = imagesOf(`${form} ${at}`)
      const files = filesOf(own)
      const what = `${form}, case ${at}: ${damage(files, random)}`
      const path = join(lab.folder, `source-${at}`)
      await write(path, files, isArchive)
      const before = await readdir(lab.folder)
      await assertSound(lab, own, await importOf(lab, transport, path), what)
      // Nothing is written outside of the store.
      assert.deepEqual(await readdir(lab.folder), before, what)
      await rm(path, { recursive: true })
    }
  })
}

test('links that lead out of a folder bring no other bytes, and folders in the place of files are no error', async (t) => {
  for (const [form, { transport, isArchive, files: filesOf }] of Object.entries(FORMS)) {
    if (isArchive) continue
    await replaced(t, form, transport, filesOf, (path) => mkdir(path))
    await replaced(t, form, transport, filesOf, async (path) => {
      await writeFile(`${path}.other`, 'not what was asked for')
      await symlink(`${path}.other`, path)
    })
  }
})

/** Puts something else in the place of each file in turn. */
async function replaced(
  t: TestContext,
  form: string,
  transport: Transport,
  filesOf: (images: Images) => Files,
  put: (path: string) => Promise<unknown>,
): Promise<void> {
  const lab = await startLab(t)
  const images = imagesOf(`${form} replaced`)
  const names = [...filesOf(images).keys()].filter(
    (name) => name.includes('acme/app') || !name.includes('acme'),
  )
  for (const [at, name] of names.entries()) {
    const path = join(lab.folder, `source-${at}`)
    const files = filesOf(images)
    files.delete(name)
    await writeFiles(path, files)
    await mkdir(dirname(join(path, name)), { recursive: true })
    await put(join(path, name))
    await assertSound(lab, images, await importOf(lab, transport, path), `${form}: ${name}`)
    await rm(path, { recursive: true })
  }
}
