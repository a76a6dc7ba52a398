import assert from 'node:assert/strict'
import { test } from 'node:test'
import { allTags } from '../../../src/store/index/all-tags.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'
import { all } from '../folder.ts'

const digest = digestOf(Buffer.from('x'))

async function* cached(...names: string[]) {
  for (const name of names) {
    const [path = '', tag = ''] = name.split(':')
    const repository = { registry: 'r', name: path }
    yield { repository, tag, digest, mediaType: undefined, checkedAt: 1 }
  }
}

async function* hosted(...names: string[]) {
  for await (const { checkedAt, ...tag } of cached(...names))
    yield { ...tag, pushedAt: 2, pulledAt: undefined }
}

test('tags of the cache and of hosted repositories are one list in order', async () => {
  const merged = await all(allTags(cached('a:1', 'a/b:1', 'c:2'), hosted('a:0', 'a:2', 'b:1', 'd:1')))
  assert.deepEqual(
    merged.map(({ repository, tag, isHosted = false, checkedAt }) => [
      `${repository.name}:${tag}`,
      isHosted,
      checkedAt,
    ]),
    [
      ['a:0', true, 2],
      ['a:1', false, 1],
      ['a:2', true, 2],
      ['a/b:1', false, 1],
      ['b:1', true, 2],
      ['c:2', false, 1],
      ['d:1', true, 2],
    ],
  )
  assert.equal((await all(allTags(cached(), hosted('a:1')))).length, 1)
})
