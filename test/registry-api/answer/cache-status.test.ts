import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Failure } from '../../../src/ports/failure.ts'
import type { CacheResult } from '../../../src/ports/resolver.ts'
import {
  cacheStatus,
  failedCacheStatus,
  sourceOf,
  staleWarning,
} from '../../../src/registry-api/answer/cache-status.ts'

test('Cache-Status says where an answer came from', () => {
  const table: [how: CacheResult, status: string, source: string][] = [
    [{ kind: 'hit' }, 'leat; hit', 'local'],
    [{ kind: 'miss', from: 'upstream', collapsed: false }, 'leat; fwd=uri-miss; detail=upstream', 'upstream'],
    [{ kind: 'miss', from: 'peer', collapsed: false }, 'leat; fwd=uri-miss; detail=peer', 'peer'],
    [
      { kind: 'miss', from: 'upstream', collapsed: true },
      'leat; fwd=uri-miss; detail=upstream; collapsed',
      'inflight',
    ],
    [{ kind: 'revalidated' }, 'leat; fwd=stale; detail=revalidated', 'local'],
    [{ kind: 'stale-if-error' }, 'leat; hit; detail=stale-if-error', 'local'],
  ]
  for (const [how, status, source] of table) {
    assert.equal(cacheStatus(how), status)
    assert.equal(sourceOf(how), source)
  }
  assert.equal(failedCacheStatus(new Failure('stalled', 'x')), 'leat; fwd=uri-miss; detail=stalled')
})

test('only a stale answer has a Warning header', () => {
  assert.match(staleWarning({ kind: 'stale-if-error' }).Warning ?? '', /^110 .*, 111 /)
  assert.deepEqual(staleWarning({ kind: 'hit' }), {})
})
