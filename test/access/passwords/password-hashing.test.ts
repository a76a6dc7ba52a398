import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { hash } from 'bcrypt'
import { loadBcrypt, PasswordHashing } from '../../../src/access/passwords/password-hashing.ts'

test('two passwords are compared at a time, sixteen wait, and more are turned away', async () => {
  let [running, most] = [0, 0]
  const hashing = new PasswordHashing(async () => {
    running += 1
    most = Math.max(most, running)
    await setImmediate()
    running -= 1
    return true
  })
  const compare = () => hashing.compare(Buffer.from('x'), 'hash')
  const results = await Promise.all(Array.from({ length: 20 }, compare))
  assert.deepEqual(results, [...Array<boolean>(18).fill(true), undefined, undefined])
  assert.equal(most, 2)
  assert.equal(await compare(), true)
})

test('passwords are compared by bcrypt', async () => {
  const hashing = new PasswordHashing(await loadBcrypt())
  const hashed = await hash('pässword', 4)
  assert.equal(await hashing.compare(Buffer.from('pässword'), hashed), true)
  assert.equal(await hashing.compare(Buffer.from('password'), hashed), false)
})
