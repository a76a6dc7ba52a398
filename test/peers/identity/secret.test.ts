import assert from 'node:assert/strict'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { inspect } from 'node:util'
import { deriveSecret, readSecretFile, type SwarmSecret } from '../../../src/peers/identity/secret.ts'

const OLD = 'an old secret of the swarm'
const NEW = 'a new secret of the swarm'
let folder: string
let path: string

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'leat-secret-'))
  path = join(folder, 'secret')
})

after(() => rm(folder, { recursive: true }))

function keysOf(secret: SwarmSecret | undefined): string[] {
  return [secret?.topic, secret?.proofKey, secret?.authoritySeed].map((key) => String(key?.toString('hex')))
}

async function read(text: string, mode = 0o600): ReturnType<typeof readSecretFile> {
  await writeFile(path, text)
  await chmod(path, mode)
  return readSecretFile(path)
}

test('the first line is the secret in use and the second one is accepted too, with any line endings', async () => {
  const [one, two] = await Promise.all([deriveSecret(NEW), deriveSecret(OLD)])
  for (const text of [`${NEW}\n${OLD}\n`, `\r\n  ${NEW} \r\n\r\n${OLD}`, `${NEW}\n${OLD}\n${NEW}`]) {
    const { secrets, warning } = await read(text)
    assert.deepEqual(secrets.map(keysOf), [keysOf(one), keysOf(two)])
    assert.equal(warning, undefined)
  }
})

test('each purpose and each secret has its own key of 32 bytes', async () => {
  const all = (await Promise.all([deriveSecret(NEW), deriveSecret(OLD)])).flatMap(keysOf)
  assert.equal(new Set(all).size, 6)
  assert.ok(all.every((key) => key.length === 64))
})

test('a file without a valid secret is refused with a message that does not quote its contents', async () => {
  for (const [text, problem] of [
    ['', /contains no secret/],
    [' \n\n', /contains no secret/],
    ['fifteen bytes..', /can be guessed: a secret needs at least 16 bytes/],
    [`${NEW}\nhunter2`, /can be guessed/],
    [`${NEW}\n${OLD}\nand a third secret, one too many`, /more than two secrets/],
    [NEW.repeat(1000), /larger than 4096 bytes/],
  ] as const) {
    await assert.rejects(read(text), (error: Error) => {
      assert.match(error.message, problem)
      assert.ok(!/fifteen|hunter2|of the swarm/.test(inspect(error)))
      return true
    })
  }
  await assert.rejects(readSecretFile(join(folder, 'none')), /none cannot be read \(ENOENT\): name a file/)
})

test('a secret of sixteen bytes in UTF-8 is long enough', async () => {
  assert.equal((await read('éééééééé')).secrets.length, 1)
})

test('a secret file that everyone can read gets a warning', async () => {
  assert.match(String((await read(NEW, 0o644)).warning), /can be read by everyone/)
  assert.equal((await read(NEW, 0o640)).warning, undefined)
})

test('printing a secret reveals none of its keys', async () => {
  const secret = await deriveSecret(NEW)
  const printed = inspect(secret, { depth: null, showHidden: true }) + JSON.stringify({ secret })
  for (const key of keysOf(secret)) assert.ok(!printed.includes(key))
  assert.equal(inspect(secret), 'SwarmSecret {}')
})
