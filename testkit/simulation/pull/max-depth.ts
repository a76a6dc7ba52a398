/** The most steps from a root to a member, where `sources[member]` is negative for a member without a parent. */
export function maxDepth(sources: Int32Array): number {
  const depths = new Int32Array(sources.length).fill(-1)
  let most = 0
  for (let member = 0; member < sources.length; member += 1) {
    const path: number[] = []
    let at = member
    // Sources may form a circle for a moment, while an instruction is on its way; hence the bound of the path.
    while ((sources[at] as number) >= 0 && depths[at] === -1 && path.length < sources.length) {
      path.push(at)
      at = sources[at] as number
    }
    let depth = Math.max(0, depths[at] as number)
    depths[at] = depth
    for (const one of path.reverse()) {
      depth += 1
      depths[one] = depth
    }
    most = Math.max(most, depth)
  }
  return most
}
