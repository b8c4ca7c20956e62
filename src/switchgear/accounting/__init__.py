"""What it cost: usage, prices, the ledger.

row      one row of the ledger
tags     `metadata` of a request as the bounded JSON of a row
ledger   what the gateway calls: a journal and its drain
drain    journals into the database and the sinks, in a thread of its own
cursor   reading one journal, batch by batch
tail     what journals hold that no database has yet
sinks    where else rows go
reports  reading rows and sums, drained or not
spent    what was used in a window, to rebuild a limit's counter
"""
