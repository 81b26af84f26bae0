"""Plays content of a domain on a device that has joined it: gets the licence, has `domain-device`
decrypt it, and decrypts the sample to standard output."""

import argparse
import subprocess
import sys
import urllib.request

import sample


def get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("content", help="URL of the content at the licence server")
    parser.add_argument("--device", required=True, help="the device's state directory")
    parser.add_argument("--domain-device", default="domain-device", help="the program")
    arguments = parser.parse_args()

    command = [arguments.domain_device, "--dir", arguments.device, "decrypt", "-"]
    licence = get(arguments.content + "/licence")
    opened = subprocess.run(command, input=licence, stdout=subprocess.PIPE, check=False)
    if opened.returncode != 0:
        sys.exit("cannot play: this device cannot open the licence")
    sys.stdout.buffer.write(sample.decrypt(get(arguments.content), opened.stdout))


if __name__ == "__main__":
    main()
