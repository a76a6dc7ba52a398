import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isRepositoryName, isTag } from '../../../src/oci/names/names.ts'
import { fc } from '../../../testkit/property-runs.ts'

test('names follow the grammar of the distribution spec', () => {
  for (const name of [
    'a',
    'alpine',
    'library/alpine',
    'a.b/c_d/e__f/g---h',
    'a/manifests/blobs',
    '0',
    'a'.repeat(255),
  ]) {
    assert.ok(isRepositoryName(name), name)
  }
  for (const name of [
    '',
    'A',
    '/a',
    'a/',
    'a//b',
    '.a',
    'a.',
    'a..b',
    'a___b',
    '..',
    '../a',
    'a b',
    'a\0',
    'é',
    'a:b',
    'a'.repeat(256),
  ]) {
    assert.ok(!isRepositoryName(name), name)
  }
})

test('tags follow the grammar of the distribution spec', () => {
  for (const tag of ['latest', '_', '1.2.3-rc.1', 'A_b', 'a'.repeat(128)]) assert.ok(isTag(tag), tag)
  for (const tag of ['', '.a', '-a', 'a/b', 'a:b', 'a b', 'a\n', 'a'.repeat(129)]) assert.ok(!isTag(tag), tag)
})

test('every name made of valid parts is a name', () => {
  const part = fc.stringMatching(/^[a-z0-9]{1,8}(?:(?:[._]|__|-{1,3})[a-z0-9]{1,8}){0,2}$/)
  fc.assert(
    fc.property(fc.array(part, { minLength: 1, maxLength: 6 }), (parts) => {
      assert.ok(isRepositoryName(parts.join('/')))
    }),
  )
})

test('a hostile name is refused in little time', () => {
  // The processor time of this process does not depend on other programs of the machine.
  const before = process.cpuUsage()
  for (let i = 0; i < 1000; i += 1) assert.ok(!isRepositoryName(`${'a-'.repeat(127)}!`))
  // A parser that tried every way to divide such a name would take years.
  assert.ok(process.cpuUsage(before).user < 20_000_000)
})
