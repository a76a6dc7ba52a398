import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Token } from '../../../src/upstream/auth/token.ts'
import type { Commons } from '../../../src/upstream/limits/commons.ts'
import { MemoryIntake } from '../../../testkit/memory/memory-intake.ts'
import { open } from '../opened.ts'

const BYTES = Buffer.alloc(1000, 'x')
const signal = AbortSignal.timeout(30_000)

type Question = Parameters<Commons['token']>[0] & { readonly identity: string }

/** Others who have what `lends` says. */
function others(lends: () => Promise<Token | undefined>): { commons: Commons; questions: Question[] } {
  const questions: Question[] = []
  const commons: Commons = {
    token: async (wish, identity) => {
      questions.push({ ...wish, identity: await identity() })
      return lends()
    },
    tell: () => {},
    heard: () => undefined,
  }
  return { commons, questions }
}

test('a token that others have is kept for as long as it is good, less a margin', async (t) => {
  let lifetimeMs = 3_600_000
  const { commons, questions } = others(async () => ({ token: 'lent', lifetimeMs }))
  const { server, bring } = await open(t, {}, { commons })
  const digest = server.addBlob(BYTES)
  server.requireBearer({ challenges: ['Bearer realm="{realm}"'] })
  // It is none of this registry's, which will do only for a moment.
  await bring(digest, new MemoryIntake())
  assert.deepEqual([questions.length, server.tokensIssued], [1, 1])
  const { server: second, bring: again } = await open(t, {}, { commons })
  const other = second.addBlob(BYTES)
  second.requireBearer({ accepts: ['lent'] })
  await again(other, new MemoryIntake())
  await again(other, new MemoryIntake())
  assert.deepEqual([questions.length, second.tokensIssued], [2, 0])
  lifetimeMs = 0
  const { server: third, bring: anew } = await open(t, {}, { commons })
  const last = third.addBlob(BYTES)
  third.requireBearer({ accepts: ['lent'] })
  await anew(last, new MemoryIntake())
  await anew(last, new MemoryIntake())
  assert.deepEqual([questions.length, third.tokensIssued], [4, 0])
})

test('others are asked once for all who wait, and for each repository, service and credential apart', async (t) => {
  const { commons, questions } = others(async () => undefined)
  const { server, upstreams, repository, want, bring } = await open(t, {}, { commons })
  const digest = server.addBlob(BYTES)
  server.requireBearer({ service: 'the service' })
  await Promise.all(Array.from({ length: 5 }, () => bring(digest, new MemoryIntake())))
  assert.equal(questions.length, 1)
  const [question] = questions
  assert.deepEqual(
    [question?.repository, question?.host, question?.service, question?.scopes],
    [repository, server.host, 'the service', []],
  )
  const [host] = upstreams.sources(want(digest))
  await host?.bring({ ...want(digest), repository: { ...repository, name: 'other' } }, new MemoryIntake(), {
    signal,
  })
  assert.notEqual(questions[1]?.identity, question?.identity)
})

test('who would be given the same token recognizes it, and nobody else does', async (t) => {
  const alice = { username: 'alice', password: 'one' }
  const { commons, questions } = others(async () => undefined)
  const { server, upstreams, want, bring } = await open(t, { ...alice, prefix: 'mirror' }, { commons })
  server.requireBearer()
  await bring(server.addBlob(BYTES), new MemoryIntake())
  const [question] = questions
  assert.ok(question)
  assert.equal(question.repository.name, 'team/app', 'as clients name it')
  const { identity, ...wish } = question
  const isSame = (given: string): boolean => given === identity
  const issued = server.tokensIssued
  const lent = await upstreams.lend(wish, isSame, { signal })
  assert.match(lent?.token ?? '', /^token-1-/)
  assert.ok((lent?.lifetimeMs ?? 0) > 30_000 && (lent?.lifetimeMs ?? 0) <= 60_000)
  for (const wrong of [
    { ...wish, realm: `${wish.realm}?x` },
    { ...wish, service: 'other' },
    { ...wish, scopes: ['registry:catalog:*'] },
    { ...wish, repository: { ...wish.repository, name: 'team/other' } },
    { ...wish, host: 'elsewhere.test' },
    { ...wish, repository: { ...wish.repository, registry: 'elsewhere.test' } },
  ]) {
    assert.equal(await upstreams.lend(wrong, isSame, { signal }), undefined)
  }
  for (const entry of [{}, { ...alice, password: 'two' }, { ...alice, username: 'bob' }, alice]) {
    const other = await open(t, {
      ...entry,
      namespace: wish.repository.registry,
      hosts: [server.host],
      // Without the prefix it is another repository.
      ...(entry === alice ? {} : { prefix: 'mirror' }),
    })
    assert.equal(await other.upstreams.lend(wish, isSame, { signal }), undefined)
  }
  assert.equal(server.tokensIssued, issued)
  assert.equal(want(server.addBlob(BYTES)).repository.name, 'team/app')
})

test('a realm outside the domain of the registry is given no credentials for others either', async (t) => {
  const { server, upstreams, repository } = await open(t, { username: 'alice', password: 'one' })
  const wish = {
    repository,
    host: server.host,
    realm: 'http://elsewhere.test/token',
    service: undefined,
    scopes: [],
  }
  await assert.rejects(
    upstreams.lend(wish, () => true, { signal }),
    { code: 'denied' },
  )
})
