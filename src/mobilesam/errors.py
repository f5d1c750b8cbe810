"""Every error that the package raises on purpose, each of them also a builtin.

    MobileSAMError
    ├── InputError (ValueError)                what the caller passed can't be used
    │   ├── ImageError                         not an image, truncated, wrong array
    │   │   └── ImageTooLargeError             more pixels or bytes than the limit
    │   ├── PromptError                        points, labels, boxes, masks
    │   └── CheckpointError                    a weights file of the wrong kind
    ├── SourceNotFoundError (FileNotFoundError)
    ├── WeightsNotFoundError (FileNotFoundError)
    ├── DownloadError (ConnectionError)        no network, offline switch, wrong hash
    ├── OutputError (OSError)                  a result can't be written
    ├── MissingDependencyError (ImportError)   an extra isn't installed
    ├── NotSupportedError (NotImplementedError)  what this version doesn't do
    ├── BackendError (RuntimeError)            a runtime refused to load or run
    ├── ExportError (RuntimeError)             an exported file doesn't do what the model does
    ├── ServiceError (ConnectionError)         a server refused a request, failed, or can't be reached
    │   ├── ServiceBusyError                   it has too much to do: try again in a moment
    │   └── EmbeddingLostError                 it doesn't have the embedding any more: embed again
    └── TrainingError (RuntimeError)           training can't go on: a loss that is no number, too little memory

Each message says what was wrong, what was given, and what to do.
"""

from __future__ import annotations


class MobileSAMError(Exception):
    """Base of all errors that `mobilesam` raises on purpose."""


class InputError(MobileSAMError, ValueError):
    """An argument has a value that can't be used."""


class ImageError(InputError):
    """The source isn't an image that can be read."""


class ImageTooLargeError(ImageError):
    """The image has more pixels, or the file more bytes, than the limit."""


class PromptError(InputError):
    """Points, labels, boxes or masks that can't be used together or at all."""


class CheckpointError(InputError):
    """A weights file that isn't a checkpoint of a known model."""


class SourceNotFoundError(MobileSAMError, FileNotFoundError):
    """The path of a source doesn't exist."""


class WeightsNotFoundError(MobileSAMError, FileNotFoundError):
    """A weights file is neither at the path, nor bundled, nor in the catalog."""


class DownloadError(MobileSAMError, ConnectionError):
    """A download isn't allowed, failed, or brought other bytes than expected."""


class OutputError(MobileSAMError, OSError):
    """A result can't be written where it was asked to be."""


class MissingDependencyError(MobileSAMError, ImportError):
    """An optional package isn't installed; the message has the exact pip line."""


class NotSupportedError(MobileSAMError, NotImplementedError):
    """Something that this version doesn't do yet."""


class BackendError(MobileSAMError, RuntimeError):
    """A runtime could not load or run the model."""


class ExportError(MobileSAMError, RuntimeError):
    """An exported file was tried and gives other masks than the model it was made of."""


class ServiceError(MobileSAMError, ConnectionError):
    """A server refused a request, failed, or can't be reached."""


class ServiceBusyError(ServiceError):
    """A server has too much to do, or gave no answer in time; the same request may do a moment later."""


class EmbeddingLostError(ServiceError):
    """A server doesn't have the embedding any more."""


class TrainingError(MobileSAMError, RuntimeError):
    """Training can't go on: a loss that is no number, or too little memory."""
