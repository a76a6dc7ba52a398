import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Crowd, named, PIECE } from '../support/crowd.ts'

/** `0` brings it, `1` takes from `0`, and so on. */
function chain(count: number, options: ConstructorParameters<typeof Crowd>[0] = {}): Crowd {
  const crowd = new Crowd(options)
  for (let at = 0; at < count; at += 1) crowd.join(`${at}`)
  return crowd
}

const parents = (crowd: Crowd, ...names: string[]) =>
  names.map((name) => crowd.gathering.parentOf(named(name)))
const fetch = (to: string) => ({ to: named(to), do: 'fetch' })
const take = (to: string, from: string) => ({ to: named(to), do: 'take', from: named(from) })

test('who is alone brings it from upstream', () => {
  const crowd = new Crowd()
  assert.deepEqual(crowd.join('0'), [fetch('0')])
  crowd.untilWhole()
  assert.equal(crowd.gathering.wanting, 0)
  assert.equal(crowd.gathering.head, undefined)
})

test('all at once make a chain, and upstream gives each byte once', () => {
  const crowd = chain(8)
  assert.deepEqual(parents(crowd, '1', '2', '3', '7'), ['0', '1', '2', '6'])
  crowd.untilWhole()
  assert.equal(crowd.brought, crowd.size)
  assert.equal(crowd.orders.length, 8)
})

test('until the size is known nobody is sent anywhere, and then everybody', () => {
  const crowd = chain(4, { sized: false })
  assert.deepEqual(crowd.orders, [fetch('0')])
  assert.equal(crowd.tell({ is: 'sized', size: crowd.size }).length, 3)
  const other = chain(4, { sized: false })
  assert.equal(other.tell({ is: 'at', id: named('0'), position: PIECE }).length, 3)
})

test('a late joiner follows the last one, from its first byte', () => {
  const crowd = chain(3)
  for (let at = 0; at < 4; at += 1) crowd.live()
  assert.deepEqual(crowd.join('late'), [take('late', '2')])
})

test('a joiner that has a part of it takes from one who is as far', () => {
  const crowd = chain(4, { size: 400 * PIECE })
  crowd.live(20)
  crowd.live(20)
  crowd.join('part', { position: 20 * PIECE })
  assert.ok(['0', '1'].includes(`${crowd.gathering.parentOf(named('part'))}`))
})

test('one who has much more than the head brings the rest, and the head takes from it', () => {
  const crowd = chain(2, { size: 400 * PIECE })
  crowd.live(10)
  const orders = crowd.join('part', { position: 300 * PIECE })
  assert.deepEqual(orders, [take('0', 'part'), fetch('part')].reverse())
  crowd.untilWhole()
  assert.equal(crowd.brought, 110 * PIECE)
})

test('where one has it all, upstream is left alone', () => {
  const crowd = new Crowd({ size: 400 * PIECE })
  crowd.join('has', { whole: true })
  assert.deepEqual(crowd.join('0'), [take('0', 'has')])
  const late = chain(1, { size: 400 * PIECE })
  late.live(10)
  assert.deepEqual(late.join('has', { whole: true }), [take('0', 'has')])
  late.untilWhole()
  assert.equal(late.brought, 10 * PIECE)
})

test('those who have it all share those who come', () => {
  const crowd = new Crowd()
  for (let at = 0; at < 6; at += 1) crowd.join(`has ${at}`, { whole: true })
  for (let at = 0; at < 6; at += 1) crowd.join(`${at}`)
  assert.equal(new Set(parents(crowd, '0', '1', '2', '3', '4', '5')).size, 6)
})

test('when the head leaves, fails or falls silent, the one who has most goes on', () => {
  const ends: Record<string, (crowd: Crowd) => void> = {
    leaves: (crowd) => crowd.leave('0'),
    fails: (crowd) => crowd.tell({ is: 'failed', id: named('0') }),
    'falls silent': (crowd) => {
      for (let ms = 0; ms < 4000; ms += 500) {
        for (const name of ['1', '2', '3']) crowd.tell({ is: 'at', id: named(name), position: 0 })
        crowd.tick(500)
      }
    },
    'stands still': (crowd) => {
      for (const name of ['1', '2', '3']) crowd.tell({ is: 'at', id: named(name), position: 6 * PIECE })
      for (let ms = 0; ms < 9000; ms += 500) {
        for (const name of ['0', '1', '2', '3']) crowd.tell({ is: 'at', id: named(name), position: 0 })
        crowd.tick(500)
      }
    },
  }
  for (const [name, end] of Object.entries(ends)) {
    const crowd = chain(4, { self: 'owner' })
    for (let at = 0; at < 3; at += 1) crowd.live(2)
    end(crowd)
    assert.equal(crowd.gathering.head, '1', name)
    assert.deepEqual(parents(crowd, '2', '3'), ['1', '2'], name)
    assert.equal(crowd.orders.filter(({ do: what }) => what === 'fetch').length, 2, name)
  }
})

test('whose parent is gone takes from the one before it', () => {
  const crowd = chain(5)
  crowd.live()
  assert.deepEqual(crowd.leave('2'), [take('3', '1')])
  crowd.untilWhole()
  assert.equal(crowd.brought, crowd.size)
})

test('whose parent cannot be reached takes from another, and may try that one later when there is no other', () => {
  const crowd = chain(2)
  assert.deepEqual(crowd.tell({ is: 'lost', id: named('1'), parent: named('0') }), [
    { to: named('1'), do: 'wait' },
  ])
  assert.deepEqual(crowd.tick(500), [])
  assert.deepEqual(crowd.tick(600), [take('1', '0')])
})

test('what is said of a parent that it no longer has changes nothing', () => {
  const crowd = chain(4)
  assert.deepEqual(crowd.tell({ is: 'lost', id: named('3'), parent: named('1') }), [])
})

test('one who answers nobody is not everybody’s first choice', () => {
  const crowd = new Crowd()
  crowd.join('dead', { whole: true })
  crowd.join('well', { whole: true })
  const dead = crowd.members.get(named('dead'))
  if (dead !== undefined) dead.isBroken = true
  for (let at = 0; at < 20; at += 1) {
    crowd.join(`${at}`)
    crowd.live(1)
  }
  const tries = crowd.orders.filter((order) => order.do === 'take' && order.from === 'dead')
  assert.ok(tries.length < 8, `${tries.length}`)
})

test('who lied to one is not given to it again, and who lied to two to nobody', () => {
  const crowd = chain(3)
  crowd.live()
  crowd.tell({ is: 'blamed', id: named('2'), parent: named('1') })
  assert.deepEqual(parents(crowd, '2'), ['0'])
  crowd.join('3')
  crowd.leave('2')
  for (const name of ['4', '5', '6']) crowd.join(name)
  const victim = ['3', '4', '5', '6'].find((name) => crowd.gathering.parentOf(named(name)) === '1')
  assert.ok(victim !== undefined)
  crowd.tell({ is: 'blamed', id: named(victim), parent: named('1') })
  for (const name of ['7', '8', '9']) crowd.join(name)
  crowd.leave('1')
  crowd.join('1', { whole: true })
  for (const name of ['10', '11']) crowd.join(name)
  crowd.live()
  const taking = [...crowd.members.keys()].filter((id) => crowd.gathering.parentOf(id) === '1')
  assert.deepEqual(taking, [])
})

test('the head needs no second witness', () => {
  const crowd = chain(3)
  assert.deepEqual(parents(crowd, '2'), ['1'])
  assert.deepEqual(crowd.tell({ is: 'blamed', id: named('0'), parent: named('1') }), [take('2', '0')])
})

test('where all who have it lied, or cannot be reached, upstream is asked', () => {
  const lied = new Crowd()
  lied.join('has', { whole: true })
  lied.join('0')
  lied.tell({ is: 'blamed', id: named('0'), parent: named('has') })
  for (let at = 0; at < 16; at += 1) lied.live()
  assert.equal(lied.gathering.head ?? 'whole', lied.members.get(named('0'))?.isWhole ? 'whole' : '0')
  const dead = new Crowd()
  dead.join('has', { whole: true })
  const has = dead.members.get(named('has'))
  if (has !== undefined) has.isBroken = true
  dead.join('0')
  assert.ok(dead.untilWhole() < 80)
})

test('each zone is entered once, in whatever order its members come', () => {
  for (const names of ['abcabcabc', 'aaabbbccc', 'cabbbacca']) {
    for (const sized of [true, false]) {
      const crowd = new Crowd({ sized })
      for (const [at, zone] of [...names].entries()) crowd.join(`${at}`, { zone })
      crowd.tell({ is: 'sized', size: crowd.size })
      const zoneOf = (id: string): string | undefined => crowd.members.get(named(id))?.zone
      const crossing = [...crowd.members.keys()].filter((id) => {
        const parent = crowd.gathering.parentOf(id)
        return parent !== undefined && zoneOf(parent) !== zoneOf(id)
      })
      assert.equal(crossing.length, 2, `${names} ${crossing}`)
    }
  }
})

test('one who comes again with more, or with less, is given a place for what it has', () => {
  const crowd = chain(4, { size: 400 * PIECE })
  for (let at = 0; at < 8; at += 1) crowd.live()
  const position = crowd.members.get(named('1'))?.position ?? 0
  assert.deepEqual(crowd.join('1', { position, from: named('0') }), [])
  crowd.join('1', { position: 0 })
  assert.notEqual(crowd.gathering.parentOf(named('2')), '1')
  crowd.untilWhole()
  assert.equal(crowd.brought, crowd.size)
})

test('a new owner hears everybody out before anybody is sent upstream', () => {
  const crowd = new Crowd({ size: 400 * PIECE, takeover: true })
  assert.deepEqual(crowd.join('0'), [])
  assert.deepEqual(crowd.join('2', { position: 90 * PIECE, from: named('1') }), [])
  assert.deepEqual(crowd.tick(100), [])
  assert.deepEqual(crowd.join('3', { position: 85 * PIECE, from: named('2') }), [])
  assert.deepEqual(crowd.join('1', { position: 100 * PIECE, from: named('old owner') }), [])
  const orders = crowd.tick(250)
  assert.deepEqual(orders, [fetch('1'), take('0', '3')])
  assert.deepEqual(parents(crowd, '2', '3'), ['1', '2'])
  crowd.untilWhole()
  assert.equal(crowd.brought, 300 * PIECE)
})

test('who brings it already, for the owner before, goes on', () => {
  const crowd = new Crowd({ takeover: true })
  crowd.join('0')
  crowd.join('1', { position: 5 * PIECE, from: 'upstream' })
  assert.deepEqual(crowd.tick(300), [take('0', '1')])
  assert.equal(crowd.gathering.head, '1')
})

test('what a member loses while the new owner listens it is not taken to be at', () => {
  const crowd = new Crowd({ takeover: true })
  crowd.join('0')
  crowd.join('1', { position: 5 * PIECE, from: 'upstream' })
  crowd.join('2', { position: 4 * PIECE, from: named('3') })
  crowd.tell({ is: 'failed', id: named('1') })
  crowd.tell({ is: 'lost', id: named('2'), parent: named('3') })
  crowd.join('3', { position: 4 * PIECE })
  const orders = crowd.tick(300)
  assert.notEqual(crowd.gathering.head, '1')
  assert.ok(orders.some(({ to }) => to === '2'))
  crowd.untilWhole()
})

test('when upstream fails one after the other, all are told that it is the end', () => {
  const crowd = chain(6)
  crowd.isUpstreamDown = true
  crowd.untilWhole(20)
  assert.equal(crowd.ended.size, 6)
  assert.equal(crowd.orders.filter(({ do: what }) => what === 'fetch').length, 3)
  assert.equal(crowd.gathering.size, 0)
})

test('whom upstream has failed elsewhere is not sent there, and where all are such it is the end at once', () => {
  const crowd = new Crowd()
  assert.deepEqual(crowd.join('0', { hasFailed: true }), [{ to: '0', do: 'end' }])
  crowd.join('1')
  crowd.join('2', { hasFailed: true })
  crowd.untilWhole()
  crowd.join('3', { hasFailed: true })
  crowd.untilWhole()
  assert.ok(crowd.orders.every(({ to, do: what }) => what !== 'fetch' || to === '1'))
})

test('whom nobody can help asks upstream itself after ten seconds, two at most', () => {
  const crowd = chain(6)
  for (const name of ['0', '1', '2', '3', '4', '5']) {
    for (const parent of ['0', '1', '2', '3', '4', '5']) {
      if (name !== parent && name > '2') crowd.tell({ is: 'blamed', id: named(name), parent: named(parent) })
    }
  }
  const alone = () => crowd.orders.filter(({ do: what }) => what === 'alone').map(({ to }) => to)
  for (let at = 0; at < 39; at += 1) crowd.live(0)
  assert.deepEqual(alone(), [])
  for (let at = 0; at < 80; at += 1) crowd.live(0)
  assert.equal(alone().length, 2)
})

test('who has all that its parent has takes from one that has it all and gives to nobody', () => {
  const crowd = chain(3, { size: 400 * PIECE })
  crowd.live(1)
  crowd.join('has', { whole: true })
  crowd.join('idle', { whole: true })
  for (let at = 0; at < 8; at += 1) crowd.live(1)
  assert.deepEqual(parents(crowd, '0', '1', '2'), ['has', 'idle', '1'])
  crowd.untilWhole()
})

test('who takes more slowly than those behind it could is passed over and becomes the last', () => {
  const crowd = new Crowd({ size: 400 * PIECE })
  crowd.join('has', { whole: true })
  for (const name of ['slow', '1', '2']) crowd.join(name)
  const slow = crowd.members.get(named('slow'))
  assert.ok(slow)
  slow.most = 1
  assert.deepEqual(parents(crowd, 'slow', '1', '2'), ['has', 'slow', '1'])
  for (let at = 0; at < 7; at += 1) crowd.live()
  assert.deepEqual(parents(crowd, '1', '2', 'slow'), ['has', '1', '2'])
  crowd.join('late')
  assert.notEqual(crowd.gathering.parentOf(named('late')), 'slow')
  crowd.untilWhole()
})

test('one that gives to nobody but a slow one is not as good as one that gives to nobody', () => {
  const crowd = chain(3, { size: 400 * PIECE })
  crowd.untilWhole()
  crowd.join('slow')
  const slow = crowd.members.get(named('slow'))
  assert.ok(slow)
  slow.most = 1
  for (let at = 0; at < 12; at += 1) crowd.live()
  for (const name of ['3', '4']) crowd.join(name)
  assert.equal(new Set(parents(crowd, 'slow', '3', '4')).size, 3)
})

test('who takes as much as those behind it do is not passed over again and again', () => {
  const crowd = new Crowd({ size: 1000 * PIECE })
  crowd.join('has', { whole: true })
  for (const name of ['0', '1', '2', '3']) crowd.join(name)
  const before = crowd.orders.length
  crowd.untilWhole()
  assert.ok(crowd.orders.length - before <= 6, `${crowd.orders.length - before} orders`)
})

test('who gives more slowly than it takes is passed over when others get no more from it', () => {
  const crowd = chain(6, { size: 2000 * PIECE })
  const isBehindOne = (name: string): boolean => crowd.gathering.parentOf(named(name)) === '1'
  for (let at = 0; at < 60 && ['2', '3', '4', '5'].some(isBehindOne); at += 1) {
    for (const [id, member] of crowd.members) {
      member.most = isBehindOne(id) ? 1 : Number.POSITIVE_INFINITY
    }
    crowd.live()
  }
  assert.ok(!['2', '3', '4', '5'].some(isBehindOne))
})
