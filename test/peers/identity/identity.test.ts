import assert from 'node:assert/strict'
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { identityOf, loadIdentity } from '../../../src/peers/identity/identity.ts'
import { parseMemberId } from '../../../src/peers/identity/member.ts'
import { prepareLayout } from '../../../src/store/files/layout.ts'

let folder: string

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'leat-identity-'))
})

after(() => rm(folder, { recursive: true }))

test('an identity is created once, in a file that only its user can read, and read from then on', async () => {
  const created = await loadIdentity(folder)
  assert.deepEqual(await loadIdentity(folder), created)
  assert.equal(parseMemberId(created.id), created.id)
  assert.deepEqual(await readdir(folder), ['identity'])
  assert.equal((await stat(join(folder, 'identity'))).mode & 0o777, 0o600)
})

test('the keys of an identity are those that libsodium derives from the seed', async () => {
  const { default: DHT } = await import('hyperdht')
  const seed = Buffer.alloc(32, 7)
  const { publicKey, secretKey } = identityOf(seed)
  const expected = DHT.keyPair(seed)
  assert.ok(publicKey.equals(expected.publicKey))
  assert.ok(secretKey.equals(expected.secretKey))
})

test('an unfinished file that a crash left behind is replaced', async () => {
  const other = await mkdtemp(join(folder, 'unfinished-'))
  await writeFile(join(other, 'identity.new'), 'half', { mode: 0o644 })
  await loadIdentity(other)
  assert.equal((await stat(join(other, 'identity'))).mode & 0o777, 0o600)
  assert.deepEqual(await readdir(other), ['identity'])
})

test('a damaged identity file is reported and left as it is', async () => {
  const path = join(folder, 'identity')
  for (const damage of ['', '\0'.repeat(65), 'ab'.repeat(31), `${'zz'.repeat(32)}\n`]) {
    await writeFile(path, damage)
    await assert.rejects(loadIdentity(folder), /identity is damaged: remove it, and the agent joins/)
    assert.equal(await readFile(path, 'latin1'), damage)
  }
  await chmod(path, 0o600)
})

test('a data folder that contains only an identity is accepted', async () => {
  const other = await mkdtemp(join(folder, 'data-'))
  const { id } = await loadIdentity(other)
  await prepareLayout(other)
  assert.equal((await loadIdentity(other)).id, id)
})
