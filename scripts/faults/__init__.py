"""What batos promises to survive, done to it: `scripts/torture`.

One module for each promise, all through the front door (real processes, clients, the command line,
`batos.Image`), none looking into batos for what is right: what was acknowledged is written down by who sent
it, and the image has to agree.

    kills       `kill -9` at random instants of mixed load                 load says what is sent and what must be
    power       a power cut at every write: what was not synced is gone    recorder.c writes down, disks replays
    full        a disk that is full, or fails, at every write and sync     recorder.c refuses
    flips       one flipped bit in a thousand places, told by the scrub
    histories   many clients at once; checker says whether some order of one after another explains it
    soak        half an hour of load: memory, latency, file growth; a walk over a million objects
"""
