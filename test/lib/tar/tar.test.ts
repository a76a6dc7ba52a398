import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, open, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { formatHeader, formatPax, parsePax } from '../../../src/lib/tar/header.ts'
import { inputFromChunks, inputFromFile } from '../../../src/lib/tar/inputs.ts'
import { type TarEntry, TarReader } from '../../../src/lib/tar/tar-reader.ts'
import { TarWriter } from '../../../src/lib/tar/tar-writer.ts'
import { fc, runs } from '../../../testkit/property-runs.ts'

const run = promisify(execFile)

interface File {
  readonly path: string
  readonly content: Uint8Array
}

async function write(files: readonly File[]): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  const writer = new TarWriter(async (bytes) => void chunks.push(Uint8Array.from(bytes)))
  for (const { path, content } of files) {
    await writer.addFile(path, content.length)
    await writer.write(content)
  }
  await writer.end()
  return Buffer.concat(chunks)
}

async function* inPieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function read(bytes: Uint8Array, pieceBytes = 1000): Promise<(TarEntry & File)[]> {
  const reader = new TarReader(inputFromChunks(inPieces(bytes, pieceBytes)))
  const found: (TarEntry & File)[] = []
  for (let entry = await reader.next(); entry !== undefined; entry = await reader.next()) {
    found.push({ ...entry, content: await reader.readAll(10_000_000) })
  }
  return found
}

async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'leat-tar-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

test('an archive that is written is read back, whatever the names, the sizes and the chunks in which it arrives', async () => {
  const name = fc.string({
    unit: fc.constantFrom('a', 'é', '.', '-', '/', '1'),
    minLength: 1,
    maxLength: 200,
  })
  const path = name.map(
    (text) =>
      `x${text
        .split('/')
        .filter((part) => part !== '' && !/^\.+$/.test(part))
        .join('/')}`,
  )
  const file = fc.record({ path, content: fc.uint8Array({ maxLength: 3000 }) })
  await fc.assert(
    fc.asyncProperty(
      fc.array(file, { maxLength: 5 }),
      fc.integer({ min: 1, max: 2000 }),
      async (files, piece) => {
        const found = await read(await write(files), piece)
        assert.deepEqual(
          found.map((one) => ({ path: one.path, content: one.content })),
          files.map((one) => ({ path: one.path, content: Uint8Array.from(one.content) })),
        )
      },
    ),
    runs(100),
  )
})

test('equal files make equal archives', async () => {
  const files = [{ path: 'blobs/a', content: Buffer.from('one') }]
  assert.deepEqual(await write(files), await write(files))
})

test('GNU tar reads the archives of the writer', async (t) => {
  const folder = await temporaryFolder(t)
  const long = `blobs/sha512/${'a'.repeat(128)}`
  const archive = join(folder, 'a.tar')
  await writeFile(archive, await write([{ path: long, content: Buffer.from('x'.repeat(700)) }]))
  await run('tar', ['-xf', archive, '-C', folder])
  assert.equal(await readFile(join(folder, long), 'utf8'), 'x'.repeat(700))
})

for (const format of ['gnu', 'pax', 'ustar']) {
  test(`an archive of GNU tar in the format ${format} is read, with its offsets`, async (t) => {
    const folder = await temporaryFolder(t)
    const path = `${'d'.repeat(60)}/${'f'.repeat(format === 'ustar' ? 60 : 180)}`
    await mkdir(join(folder, 'in', 'd'.repeat(60)), { recursive: true })
    await writeFile(join(folder, 'in', path), 'content')
    await symlink('../elsewhere/layer.tar', join(folder, 'in/link'))
    const archive = join(folder, 'a.tar')
    await run('tar', ['-cf', archive, `--format=${format}`, '-C', join(folder, 'in'), '.'])
    const file = await open(archive)
    t.after(() => file.close())
    const reader = new TarReader(inputFromFile(file))
    const found = new Map<string, TarEntry>()
    for (let entry = await reader.next(); entry !== undefined; entry = await reader.next()) {
      found.set(entry.path, entry)
    }
    assert.equal(found.get('link')?.kind, 'symlink')
    assert.equal(found.get('link')?.linkTarget, '../elsewhere/layer.tar')
    const entry = found.get(path) ?? assert.fail(`not found in ${[...found.keys()]}`)
    const bytes = Buffer.alloc(entry.size)
    await file.read(bytes, 0, entry.size, entry.start)
    assert.equal(bytes.toString(), 'content')
  })
}

test('an archive that is cut short anywhere is refused', async () => {
  const whole = await write([{ path: 'a', content: Buffer.alloc(1500, 1) }])
  for (const end of [0, 1, 511, 512, 513, 2000, 2047, 2048]) {
    await assert.rejects(read(whole.subarray(0, end)), /the archive is cut short/, `cut at ${end}`)
  }
})

for (const path of ['../etc/passwd', '/etc/passwd', 'a/../../b', 'a/..']) {
  test(`the name ${path} is refused`, async () => {
    await assert.rejects(read(await write([{ path, content: Buffer.from('x') }])), /leads out of the archive/)
  })
}

test('a header that is damaged, or asks for much memory, is refused', async () => {
  const whole = await write([{ path: 'a', content: Buffer.from('x') }])
  const damaged = Buffer.from(whole)
  damaged[0] = 0x62
  await assert.rejects(read(damaged), /wrong checksum/)
  const huge = Buffer.concat([formatHeader('PaxHeader', 'x', 1_000_000_000), whole])
  await assert.rejects(read(huge), /a header has 1000000000 bytes/)
  const sparse = formatPax('GNU.sparse.major', '1')
  const padded = Buffer.concat([sparse, new Uint8Array(512 - sparse.length)])
  await assert.rejects(
    read(Buffer.concat([formatHeader('PaxHeader', 'x', sparse.length), padded, whole])),
    /a sparse file/,
  )
})

test('the length of an extended record counts its own digits', () => {
  for (let length = 1; length < 1100; length++) {
    const value = 'v'.repeat(length)
    assert.equal(parsePax(formatPax('path', value)).get('path'), value)
  }
})

test('the reader ends with an archive or with an error message, whatever the bytes', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 512, maxLength: 4096 }), async (bytes) => {
      await assert.rejects(read(bytes), { name: 'TarError' })
    }),
    runs(200),
  )
})
