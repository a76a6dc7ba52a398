import type { Participant, RootRole } from './participant.ts'

/** Puts `child` and its subtree under `parent`, which must not be in that subtree. */
export function attach(child: Participant, parent: Participant): void {
  if (isInSubtree(parent, child)) throw new Error('a participant would be its own ancestor')
  cutFromParent(child)
  child.role = undefined
  child.parent = parent
  parent.children.add(child)
  setDepth(child, parent.depth + 1)
}

/** Takes parent and role from a participant, which then waits; its subtree stays below it. */
export function detach(participant: Participant): void {
  cutFromParent(participant)
  participant.role = undefined
  setDepth(participant, Number.POSITIVE_INFINITY)
}

export function makeRoot(participant: Participant, role: RootRole): void {
  cutFromParent(participant)
  participant.role = role
  setDepth(participant, 0)
}

/** True also when both are the same participant. */
export function isInSubtree(participant: Participant, top: Participant): boolean {
  if (top.children.size === 0) return participant === top
  for (let at: Participant | undefined = participant; at !== undefined; at = at.parent) {
    if (at === top) return true
  }
  return false
}

/** Bytes reach a participant only when one with a role is at the upper end of its ancestors. */
export function isUnderRoot({ depth }: Participant): boolean {
  return depth !== Number.POSITIVE_INFINITY
}

function subtreeOf(top: Participant): Set<Participant> {
  const found = new Set([top])
  // A set may grow while it is iterated, so this visits the whole subtree from the top down.
  for (const one of found) for (const child of one.children) found.add(child)
  return found
}

function cutFromParent(participant: Participant): void {
  participant.parent?.children.delete(participant)
  participant.parent = undefined
}

function setDepth(participant: Participant, depth: number): void {
  if (participant.depth === depth) return
  participant.depth = depth
  for (const one of subtreeOf(participant)) for (const child of one.children) child.depth = one.depth + 1
}
