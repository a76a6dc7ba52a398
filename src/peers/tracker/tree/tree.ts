import type { Party, Root } from './participant.ts'

/** Puts `child` and all behind it under `parent`, which must not be behind it itself. */
export function attach(child: Party, parent: Party): void {
  if (isBehind(parent, child)) throw new Error('a party would follow itself')
  cut(child)
  child.root = undefined
  child.parent = parent
  parent.children.add(child)
  setDepth(child, parent.depth + 1)
}

/** From now on it waits, and all who are behind it. */
export function detach(party: Party): void {
  cut(party)
  party.root = undefined
  setDepth(party, Number.POSITIVE_INFINITY)
}

/** From now on it needs no parent. */
export function uproot(party: Party, root: Root): void {
  cut(party)
  party.root = root
  setDepth(party, 0)
}

/** Whether it follows `ancestor`, over however many others, or is it. */
export function isBehind(party: Party, ancestor: Party): boolean {
  if (ancestor.children.size === 0) return party === ancestor
  for (let at: Party | undefined = party; at !== undefined; at = at.parent) if (at === ancestor) return true
  return false
}

/** The party and all that follow it. */
function allBehind(party: Party): Set<Party> {
  const found = new Set([party])
  for (const one of found) for (const child of one.children) found.add(child)
  return found
}

export function isGrounded({ depth }: Party): boolean {
  return depth !== Number.POSITIVE_INFINITY
}

function cut(party: Party): void {
  party.parent?.children.delete(party)
  party.parent = undefined
}

function setDepth(party: Party, depth: number): void {
  if (party.depth === depth) return
  party.depth = depth
  for (const one of allBehind(party)) for (const child of one.children) child.depth = one.depth + 1
}
