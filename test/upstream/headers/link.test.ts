import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nextPage } from '../../../src/upstream/headers/link.ts'

const CURRENT = new URL('https://r.example/v2/a/tags/list?n=2')

const TABLE: readonly [string[], string | undefined][] = [
  [['</v2/a/tags/list?n=2&last=b>; rel="next"'], 'https://r.example/v2/a/tags/list?n=2&last=b'],
  [['<list?last=b>; rel=next'], 'https://r.example/v2/a/tags/list?last=b'],
  [['<https://r.example/v2/x>; rel="next"'], 'https://r.example/v2/x'],
  [['<http://inner.cluster/v2/x?last=1>; rel="next"'], 'https://r.example/v2/x?last=1'],
  [['</v2/p>; rel="prev", </v2/n>; title="a, b"; rel="last next"'], 'https://r.example/v2/n'],
  [['</v2/p>; rel="prev"', '</v2/n>; rel="next"'], 'https://r.example/v2/n'],
  [['</v2/p>; rel="nextish"'], undefined],
  [['nonsense'], undefined],
  [[], undefined],
]

for (const [links, expected] of TABLE) {
  test(`the next page of ${JSON.stringify(links)} is ${expected}`, () => {
    assert.equal(nextPage(links, CURRENT)?.href, expected)
  })
}

test('a page that names itself as the next page is a failure', () => {
  assert.throws(() => nextPage([`<${CURRENT.href}>; rel="next"`], CURRENT), /itself as the next page/)
})
