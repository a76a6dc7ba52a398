import assert from 'node:assert/strict'
import { test } from 'node:test'
import { whySubject } from '../../../src/observe/reports/why-subject.ts'
import { repositoryKey } from '../../../src/oci/names/repository.ts'
import { MemoryNode } from '../memory-node.ts'

const TEAM = { registry: 'reg.test', name: 'team/app' }

async function found(node: MemoryNode, text: string): Promise<string | undefined> {
  const subject = await whySubject(node, text)
  if (!subject.ok) return undefined
  const { repository, tag, digest } = subject.value
  return repository === undefined ? digest : `${repositoryKey(repository)}:${tag}`
}

test('the first digits of a stored digest are enough, without sha256:', async () => {
  const node = new MemoryNode()
  const { digest } = node.put('layer')
  const hex = digest.slice('sha256:'.length)
  assert.equal(await found(node, hex.slice(0, 6)), digest)
  assert.equal(await found(node, hex), digest)
  // Of which nothing is stored: it may be a name.
  assert.equal(await found(node, 'abcdef'), 'docker.io/library/abcdef:latest')
})

test('a name without a registry means the only cached image of that name', async () => {
  const node = new MemoryNode()
  const { digest } = node.putImage(['layer'])
  node.tagAs('v1', digest, 0, TEAM)
  assert.equal(await found(node, 'team/app:v1'), 'reg.test/team/app:v1')
  assert.equal(await found(node, 'team/app:v2'), 'docker.io/team/app:v2')
  assert.equal(await found(node, 'ghcr.io/team/app:v1'), 'ghcr.io/team/app:v1')
  node.tagAs('v1', digest, 0, { ...TEAM, registry: 'other.test' })
  assert.equal(await found(node, 'team/app:v1'), 'docker.io/team/app:v1')
  node.tagAs('v1', digest, 0, { ...TEAM, registry: 'docker.io' })
  assert.equal(await found(node, 'team/app:v1'), 'docker.io/team/app:v1')
})
