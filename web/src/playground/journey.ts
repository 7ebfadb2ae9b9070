/** The tabs that a first visit opens with: one order's way through the gateway, to be run from left to right. */

const ORDER = "order:alice:7a5f2f0e-4b1c-4a86-9a0e-6f3f6a1d2c11";

const CREATE = `createOrder(input: {
    customerId: "alice"
    orderUuid: "7a5f2f0e-4b1c-4a86-9a0e-6f3f6a1d2c11"
    commandId: "c0a80101-0000-4000-8000-000000000001"
    customer: {
      name: "Alice Example"
      email: "alice@example.com"
    }
    items: [{
      sku: "LAMP-1"
      title: "Desk lamp"
      quantity: 2
      unitPrice: "19.90"
    }]
    shippingAddress: {
      name: "Alice Example"
      line1: "1 Main Street"
      city: "Berlin"
      postalCode: "10115"
      country: "DE"
    }
  }) {
    ... on OrderCommandSucceeded {
      message
      replayed
      order {
        id
        version
        status
        total { amount currency }
      }
    }
    ... on CommandFailure { code message }
  }`;

export const JOURNEY = [
  `# 1. A mutation is a command. It is decided at once,
# and answers with its own result. The client chooses
# the order's UUID and the command's ID, so that it
# knows both before the server does.
mutation Create {
  ${CREATE}
}
`,
  `# 2. The result has the order as the projection will
# show it a moment later.
mutation AddItem {
  addItem(input: {
    orderId: "${ORDER}"
    item: {
      sku: "BOOK-7"
      title: "Notebook"
      quantity: 1
      unitPrice: "4.50"
    }
  }) {
    ... on OrderCommandSucceeded {
      message
      consistencyToken
      order {
        version
        itemCount
        total { amount currency }
      }
    }
    ... on CommandFailure { code message }
  }
}
`,
  `# 3. The order leaves the draft. Doing what is done
# already is no error: run it twice. What a rule
# forbids is a typed answer: run AddItem again.
mutation Submit {
  submitOrder(input: {
    orderId: "${ORDER}"
  }) {
    ... on OrderCommandSucceeded {
      message
      order { version status submittedAt }
    }
    ... on CommandRejected { code message fields }
    ... on CommandFailure { code message }
  }
}
`,
  `# 4. A query reads projections only. History and sums
# are kept by the projector, not computed here.
query Orders {
  customerOrders(customerId: "alice", first: 10) {
    nodes {
      id
      version
      statusDisplay
      shippingSummary
      items { sku quantity lineTotal { amount } }
      history { nodes { version at summary } }
    }
    pageInfo { hasNextPage endCursor }
  }
  customerOrderSummary(customerId: "alice") {
    totalOrders
    totalSpent { amount currency }
    ordersByStatus { status count }
  }
}
`,
  `# 5. A subscription begins with where things stand,
# then sends every newer version. Leave it running,
# and run commands in another window.
subscription Follow {
  customerOrdersUpdated(
    customerId: "alice"
    snapshot: 5
  ) {
    kind
    orders {
      id
      version
      statusDisplay
      total { amount currency }
    }
    cursor
  }
}
`,
  `# 6. \`expectedVersion\` refuses to act on what has
# changed meanwhile, and says what is there now.
mutation Conflict {
  cancelOrder(input: {
    orderId: "${ORDER}"
    reason: "Ordered by mistake"
    expectedVersion: 1
  }) {
    ... on OrderCommandSucceeded { message }
    ... on VersionConflict {
      message
      expectedVersion
      currentVersion
      order { status itemCount }
    }
    ... on CommandFailure { code message }
  }
}
`,
  `# 7. The command of step 1 once more, with the same ID:
# it has one effect, and answers the same result with
# \`replayed: true\`.
mutation Replay {
  ${CREATE}
}
`,
];
